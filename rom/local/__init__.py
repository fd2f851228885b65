"""Local bases."""

from rom.local.classifier import Classifier
from rom.local.forest import Forest
from rom.local.gain import Gain
from rom.local.models import LocalModel

NOUNS = (
    "Classifier",
    "Forest",
    "Gain",
    "LocalModel",
)
__all__ = ["NOUNS", "Classifier", "Forest", "Gain", "LocalModel"]
