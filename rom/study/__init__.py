"""How wrong a model is."""

from rom.study.comparison import Study

NOUNS = ("Study",)
__all__ = ["NOUNS", "Study"]
