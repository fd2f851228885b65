"""How wrong a model is."""
