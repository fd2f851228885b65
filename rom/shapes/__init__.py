"""Fields on meshes that differ: one model over shapes and scalars (MMGP, O-MMGP).

Every mesh is laid over one reference by a morphing phi. Shapes become coefficients z of their
morphed coordinates, fields u o phi^{-1} coefficients a of modes V, and a(z, mu) is a Gaussian
process. Where shocks or fronts move, optimal mappings psi of the reference align them first:

    u(x) = (mean + V a(z, mu)) o psi^{-1} o phi(x).

Notation: z shape coordinates, phi morphing of a mesh onto the reference, psi mapping of the
reference, N nodes of the reference, n of a mesh, m samples, c components.

>>> import numpy as np
>>> from rom.mesh import Mesh
>>> from rom.shapes import ArcLength, Reduction, Sample, shape_model
>>> s = np.linspace(0.0, 1.0, 21)
>>> lines = {"line": np.column_stack([np.arange(20), np.arange(1, 21)])}
>>> def arch(h):
...     return Mesh(np.column_stack([s, h * s * (1 - s)]), lines)
>>> heights = np.linspace(0.2, 1.0, 6)
>>> samples = [Sample(arch(h), fields={"load": h * np.sin(np.pi * s)}) for h in heights]
>>> model = shape_model(samples, ArcLength(), reduction=Reduction(shape=1, fields=1))
>>> answer = model.predict(mesh=arch(0.5))
>>> bool(abs(answer.field("load").max() - 0.5) < 0.01), bool(answer.inside[0])
(True, True)

Reference: Casenave, Staber, Roynard (2023); Kabalan, Casenave, Bordeu, Ehrlacher, Ern (2025).
"""

from rom.shapes.charts import ArcLength, Chart, Same
from rom.shapes.choice import ShapeTrial, choose_shapes
from rom.shapes.elastic import Elastic
from rom.shapes.embeddings import embedding
from rom.shapes.families import family
from rom.shapes.lifting import FieldModel
from rom.shapes.models import ShapeModel
from rom.shapes.morphing import Embedding, Sample
from rom.shapes.optimal import optimal_mappings
from rom.shapes.overlays import overlay
from rom.shapes.rbf import Radial
from rom.shapes.reduction import Reduction
from rom.shapes.references import medoid, refine
from rom.shapes.spheres import Sphere
from rom.shapes.straight import linear
from rom.shapes.subdivision import subdivide
from rom.shapes.training import shape_model
from rom.shapes.transfer import conservative, interpolation

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
    "Sphere",
)
__all__ = [
    "NOUNS",
    "ArcLength",
    "Chart",
    "Elastic",
    "Embedding",
    "FieldModel",
    "Radial",
    "Reduction",
    "Same",
    "Sample",
    "ShapeModel",
    "ShapeTrial",
    "Sphere",
    "choose_shapes",
    "conservative",
    "embedding",
    "family",
    "interpolation",
    "linear",
    "medoid",
    "optimal_mappings",
    "overlay",
    "refine",
    "shape_model",
    "subdivide",
]
