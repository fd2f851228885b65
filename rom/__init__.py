"""Reduced-order models and surrogates for engineering simulation.

Notation (as in the books; the same letters everywhere):

    mu      parameters, (p,) or (m, p)          theta   coefficient functions of an affine sum
    u       a state, (n,)                       Q       number of affine terms
    X       inner product of the space          V, W    modes of trial and test basis, (n, r)
    A, f    operator and load                   a       reduced coefficients, (r,)
    n, m, r local rows, snapshots, modes        s       singular values
    N       dofs over all ranks                 T       triangular factor

The pipeline:

    collect(solve, mus, "store")                          # rom.campaign.campaign
    snapshots = read("store", space)                      # rom.campaign.store
    basis, s = pod(snapshots, tol=1e-4)                   # rom.compress.decomposition
    model = galerkin(A, f, basis, residual_bound(...))    # rom.certified.stationary, rom.certified.residual
    model, history = greedy(model, train, error, enrich)  # rom.certified.enrichment
    answer = model.predict(mu)                            # answer.bound is a number, not a hope
    table = study(model, solve, mus)                      # rom.study.comparison
    save("model.h5", model)                               # rom.archive.nouns: no pickle
"""

__version__ = "0.1.0"
CHAPTERS = (
    "compress", "points", "io", "design", "campaign", "certified", "local", "solids", "gp",
    "shapes", "study", "plot", "deploy", "batch",
)  # fmt: skip
