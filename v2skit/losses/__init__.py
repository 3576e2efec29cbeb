"""Losses. A loss is an ``nn.Module`` that maps (:class:`v2skit.models.model.Output`,
:class:`v2skit.data.batch.Batch`) to ``{name: scalar}``, averaged over what the batch's mask says is valid. Besides
``forward`` it may have:

* ``input``: the name of the stream of the output that it needs, or a tuple of several, e.g. ``"mel"``; a model
  without it is refused before training. ``reference``: likewise of the batch, where these are not those of ``input``.
* ``validates = False``: left out of the validation, and so of the choice of the best checkpoint.
* ``discriminator_backward(output, batch) -> {name: value}`` and ``discriminator_update()``, for a loss that trains
  discriminators of its own. In a discriminator step, ``discriminator_backward`` is called for each accumulated batch,
  with the generator's output detached, and adds to the gradients of ``parameters()``. These are then averaged over the
  batches of all processes, and ``discriminator_update`` takes one optimiser step with them and clears them; ``forward``
  follows. The ``state_dict()``, optimisers included (``get_extra_state``), is kept in the checkpoint.
* ``learning_rate_factor``: set before each ``discriminator_update``, to that of the model's learning-rate schedule.
* ``discriminator_steps``: discriminator steps for each step of the model, by default 1; the same for all losses of a
  config. Each accumulates over ``accumulate`` batches; the model's step uses those of the last one.
* layers :class:`v2skit.models.layers.mel_standard.MelStandard`, which are fitted to the training clips before the first
  step. The ``state_dict()`` of a loss that has some is kept in the checkpoint.
* ``digest``: a short text that identifies pre-trained weights which the loss loads; recorded with the run.
"""
