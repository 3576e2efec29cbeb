"""Spectral analysis of waveforms on tensors: STFT, mel filterbank, log-mel spectrogram."""
