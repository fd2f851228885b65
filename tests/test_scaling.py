"""The model of scale: what it must give where the answer is known, and that every row says
whether it was measured.
"""

import numpy as np
import pytest

from hpc.scaling.model import CORES, NETWORKS, Machine, curves, modelled, with_efficiency

COSTS = {n: {"gram": 1e-11 * n**2, "lift": 1e-9 * n, "eig": 1e-9 * n**3} for n in (100, 1000)}
FREE = Machine(COSTS, COSTS, (1e-7, 1e-7), 0.0, np.inf)
HERE = Machine(COSTS, COSTS, (1e-7, 1e-7), 1e-6, 5e9)


@pytest.mark.parametrize(("n", "p"), [(100, 1), (316, 2), (1000, 64), (1000, 16384)])
def test_without_messages_the_work_on_rows_is_shared_and_the_eigenproblem_is_not(n, p):
    terms = modelled(1e6, n, p, FREE, (0.0, 0.0))
    assert terms["gram"] + terms["lift"] == pytest.approx(
        1e6 * (1e-11 * n**2 + 1e-9 * n + 1e-7) / p
    )
    assert terms["eig"] == pytest.approx(1e-9 * n**3) and terms["inside"] == 0.0


def test_messages_grow_by_the_logarithm_of_the_ranks_and_not_with_the_dofs():
    few, many, larger = (
        modelled(m, 1000, p, HERE, NETWORKS["typical"])
        for m, p in ((5e6, 128), (5e6, 8192), (75e6, 8192))
    )
    assert many["between"] == larger["between"] and few["inside"] == many["inside"]
    steps = (many["between"] - few["between"]) / (2 * NETWORKS["typical"][0])
    assert steps == pytest.approx(5 * (np.log2(8192 / CORES) - np.log2(128 / CORES)))


def test_the_curves_reach_16384_ranks_and_say_that_they_are_modelled():
    rows = with_efficiency(
        [{**r, "curve": r["m"] if r["kind"] == "strong" else 0} for r in curves(HERE)]
    )
    assert {r["label"] for r in rows} == {"modelled"} and max(r["p"] for r in rows) == 16384
    assert {r["m"] for r in rows if r["kind"] == "strong"} == {5e6, 20e6, 75e6}
    assert all(0 < r["efficiency"] <= 1 + 1e-12 for r in rows)
    for m in (5e6, 75e6):
        line = [
            r["seconds"]
            for r in rows
            if (r["kind"], r["m"], r["n"], r["network"]) == ("strong", m, 200, "typical")
        ]
        assert line == sorted(line, reverse=True)
