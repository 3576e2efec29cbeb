"""Training: trainer, optimiser, distributed processes, transfer."""
