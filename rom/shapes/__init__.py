"""Fields on meshes that differ."""

from rom.shapes.charts import ArcLength, Chart, Same
from rom.shapes.elastic import Elastic
from rom.shapes.models import FieldModel, ShapeModel, ShapePrediction
from rom.shapes.morphing import Embedding, Sample
from rom.shapes.rbf import Radial

NOUNS = (
    "ArcLength",
    "Chart",
    "Elastic",
    "Embedding",
    "FieldModel",
    "Radial",
    "Same",
    "Sample",
    "ShapeModel",
    "ShapePrediction",
)
__all__ = [
    "NOUNS",
    "ArcLength",
    "Chart",
    "Elastic",
    "Embedding",
    "FieldModel",
    "Radial",
    "Same",
    "Sample",
    "ShapeModel",
    "ShapePrediction",
]
