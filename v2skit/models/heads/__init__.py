"""Components of kind ``head``: features of frontend or encoder (B,T,D) -> further streams, predicted in training.

A head is an ``nn.Module`` with ``outputs``, the names of its streams, and ``forward(x (B,T,D), mask (B,T)) -> {stream:
tensor (B,T*k,...)}``; its constructor is given what it names of ``in_dim`` (D), ``clock``, ``mel``, ``targets``.

A head that reads lips has ``decode(logits, mask) -> list[str]``, for the first stream of its ``outputs``, and an
argument ``stream``: the name of a target with a ``tokenizer``, whose normal form of text the hypotheses have.

A head of a sequence may have ``check_lengths(counts, frames, whole) -> str``, see
:meth:`v2skit.data.dataset.SpeechDataset.sequences`: it is called with the training data, and returns a note or raises
UserError.
"""
