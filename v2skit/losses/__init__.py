"""Losses. A loss is an ``nn.Module`` that maps (:class:`v2skit.models.model.Output`,
:class:`v2skit.data.batch.Batch`) to ``{name: scalar}``, averaged over what the batch's mask says is valid. It may have,
beside ``forward``:

* ``input = "mel"`` or ``"waveform"``: what the decoder must give; another one is refused before training.
* ``validates = False``: left out of the validation, and so of the choice of the best checkpoint.
* ``learn(output, batch) -> {name: value}`` and ``update()``, to train what the loss owns (critics): ``learn`` is called
  for each batch of a turn, with the output cut from the generator's graph, and adds to the gradients of
  ``parameters()``. Then these are made means over the turn's batches, of all processes, and ``update`` takes one step
  with them and clears them; ``forward`` follows. The ``state_dict()``, optimisers included (``get_extra_state``), is
  kept in the checkpoint.
* ``learn_steps``: turns for each step of the model, 1 where it is not given; the same for all losses of a config. A
  turn has ``accumulate`` batches; the model learns from those of the last one.
* ``digest``: a short text that changes with weights it brings along, noted with the run.
"""
