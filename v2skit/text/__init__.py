"""Text: its normal form, and tokenizers between text and token ids.

A tokenizer is a plain object, which may be copied to other processes:

    normalise(text: str) -> str                 the text as ``decode`` gives it; "" where it has no words
    fit(texts: Iterable[str]) -> dict           learns from texts, one of them with words; returns its JSON-able state
    load_state(state: dict) -> None             becomes the tokenizer that returned this state
    encode(text: str) -> list[int]              ids in 0..size-1; [] where the text has no words
    decode(ids: Sequence[int]) -> str           inverse of ``encode``, up to normalisation and unknown symbols
    size: int                                   number of tokens, without the blank of CTC

The same texts in the same order give the same state. ``encode``, ``decode`` and ``size`` need a state.
"""
