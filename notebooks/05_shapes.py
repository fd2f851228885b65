# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Fields on meshes that all differ
#
# Channels $0 < x < 1$, $0 < y < h(x)$, each with a mesh of its own, carry a front: $b\cdot\nabla u
# + c\,u = 0$. A model learns the field over shapes and scalars, answers on a mesh it has never
# seen, and says how wrong it may be.

# %%
import numpy as np

from cases.advection_reaction import MORPH, channel, samples
from rom.shapes import Reduction, overlay, shape_model
from rom.shapes.answers import SCORE
from rom.study.metrics import field_coverage, rel_l2

train, test = (
    samples(24, 7, 1),
    samples(8, 7, 2),
)  # about 200 nodes each; mu = (angle [rad], start of the front [m])
print([len(s.mesh.points) for s in train[:5]])

# %% [markdown]
# ## Morph
#
# Control points on the four sides go where the reference has them; inside, radial basis functions
# follow. A cell that turns over is an error that names it.

# %%
reference = channel(0.0, 9, 0)
laid = overlay(train[0].mesh, reference, MORPH)
print(f"smallest determinant {laid.jacobian:.2f}")
assert laid.jacobian > 0
u = train[0].fields["u"]
print(f"there and back: {rel_l2([laid.push(laid.pull(u))], [u]):.3f}")  # enters the error bar

# %% [markdown]
# ## Learn
#
# A proper orthogonal decomposition of shapes and one of fields, Gaussian processes between them,
# and bands calibrated by cross-validation inside the training set.

# %%
model = shape_model(
    train,
    MORPH,
    reference,
    names=("angle", "start"),
    units=("rad", "m"),
    reduction=Reduction(shape=1, fields=8),
)
answers = [model.predict(s.mu, mesh=s.mesh) for s in test]
found, true, std = (
    [a.field("u") for a in answers],
    [s.fields["u"] for s in test],
    [a.std("u") for a in answers],
)
print(
    f"relative error {rel_l2(found, true):.3f}, {field_coverage(found, true, std):.2f} of the "
    "values inside their 90 % band"
)
assert rel_l2(found, true) < 0.3

# %% [markdown]
# ## Know what is foreign
#
# The score compares the distance of a new shape to the training cloud with the distances inside it.

# %%
strange = model.predict([0.0, 0.5], mesh=channel(-0.3, 9, 5))
scores = [answer.outputs[SCORE].value[0] for answer in (answers[0], strange)]
print(f"score of a test channel {scores[0]:.2f}, of a narrow one {scores[1]:.1f}")
assert not strange.inside[0]
assert np.isfinite(answers[0].std("u")).all()
