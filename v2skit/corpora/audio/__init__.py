"""Audio-only corpora, for pre-training."""
