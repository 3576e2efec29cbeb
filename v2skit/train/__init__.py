"""Training: the loop, its steps, optimisers, logs, transfer, and several processes."""
