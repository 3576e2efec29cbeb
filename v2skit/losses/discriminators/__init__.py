"""Discriminators of adversarial losses: waveform (B,N) -> one (score, features) for each sub-discriminator, where score
is (B, ...), higher for real waveforms, and features is a list of hidden layers (B, ...) for feature matching.

One that sees another representation of the waveform, such as a spectrogram, may have ``represent(waveform) -> (B, ...)``
and ``discriminate(representation)``, whose outputs are those of the whole; a gradient penalty is then that of the
gradient by the representation.
"""
