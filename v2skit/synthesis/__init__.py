"""A trained model and a silent video -> speech."""
