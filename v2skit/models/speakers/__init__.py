"""Speaker embeddings. A component is an ``nn.Module``, input (B,...) -> embedding (B, out_dim), whose input is never
computed from the clip that is synthesised. It has

* ``prepare(directory)``, called in stage 1 for each data directory, and before a training for those without a reader;
* ``reader(directory)``: (utterance id, speaker) -> the input for an utterance; raises UserError where the directory is
  not prepared. Where the reader also has ``draw(utterance id, speaker, random)``, training calls that: another input in
  each epoch, whose only random numbers are those of the generator. Where it has ``digest``, a text that identifies what
  it reads, streams that a model predicts are computed again when that has changed;
* ``voice(name)``: the input for a video outside a corpus; raises UserError where there is no such voice.

and optionally

* ``link(directory, training)``, called in stage 1 after ``prepare`` for validation and test data, with the training
  data;
* ``voices``: the names that ``voice`` accepts;
* ``accepts_recording``: ``voice`` accepts the path of a recording, and packs store its result;
* ``voices_of(directory)``: speaker -> input, float32 (S,), for packs with the speakers of a data directory;
* ``output_arguments``: names of the arguments that change the embedding's scale, without any weight: a pre-trained
  encoder needs the same values;
* ``reference``: what the input is computed from, in a few words: evaluation protocols permit some of these;
* ``default_voice``: what ``voice(None)`` is, for people.
"""
