"""Losses. A loss is an ``nn.Module`` that maps (:class:`v2skit.model.Output`, :class:`v2skit.model.Batch`) to
``{name: scalar}``, averaged over what the batch's mask says is valid. It may have, beside ``forward``:

* ``needs = "mel"`` or ``"waveform"``: what the decoder must give; another one is refused before training.
* ``validates = False``: left out of the validation, and so of the choice of the best checkpoint.
* ``learn(output, batch) -> {name: value}``: called once a batch before ``forward``, with the output cut from the
  generator's graph, to train what the loss owns (critics). Its ``state_dict()``, optimisers included
  (``get_extra_state``), is then kept in the checkpoint.
* ``learn_steps``: batches that ``learn`` sees for each one that ``forward`` sees, 1 where it is not given; the same for
  all losses of a config. With ``accumulate: k`` both see k times as many a step.
* ``digest``: a short text that changes with weights it brings along, noted with the run.
"""
