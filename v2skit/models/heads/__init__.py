"""Components of kind ``head``: features of frontend or encoder (B,T,D) -> further streams, predicted in training."""
