"""Speaker embeddings: who speaks, never from the clip that is to be synthesised."""
