"""Discriminators of adversarial losses: waveform (B,N) -> one (score, features) for each sub-discriminator, where score
is (B, ...), higher for real waveforms, and features is a list of hidden layers (B, ...) for feature matching.

One that sees another representation of the waveform, such as a spectrogram, may have ``represent(waveform)``, (B, ...),
of which it is ``discriminate(representation)``: a gradient penalty is then on the gradient by the representation.
"""
