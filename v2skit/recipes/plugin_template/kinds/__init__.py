"""By kind: the component of a new plug-in, and what its config changes of a recipe's."""
