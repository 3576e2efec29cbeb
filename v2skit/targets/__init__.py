"""Components of kind ``target``, see :mod:`v2skit.data.targets`."""
