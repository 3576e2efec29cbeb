"""Spectral analysis on tensors: STFT, mel filters, the log-mel spectrogram."""
