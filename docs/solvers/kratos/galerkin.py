"""Kratos' own ROM beside ours: python galerkin.py MODEL STORE, in the folder of own.py.

Both learn from the runs of STORE, with the same tolerance of the basis; the table is of four
parameters that neither has seen, of errors of u relative to the full solve, in the 2-norm.
"""

import json
import sys
import time

import KratosMultiphysics as K
import numpy as np
import own
from KratosMultiphysics.RomApplication.rom_manager import RomManager

import rom

TOL = 1e-4  # of the basis, as `rom reduce` asks for
SETTINGS = {
    "rom_stages_to_train": ["ROM"], "rom_stages_to_test": ["ROM"],
    "projection_strategy": "galerkin",
    "save_gid_output": False, "save_vtk_output": False, "output_name": "id",
    "ROM": {"svd_truncation_tolerance": TOL, "model_part_name": "Structure",
        "nodal_unknowns": ["DISPLACEMENT_X", "DISPLACEMENT_Y"]},
}  # fmt: skip
seconds = []  # of the loop of every analysis, without reading the mesh


def plate(cls, model, parameters, mu=None):
    """The analysis `cls` with the core of parameters mu."""

    class Plate(cls):
        def ModifyAfterSolverInitialize(self):
            super().ModifyAfterSolverInitialize()
            core = model["Structure"].GetProperties()[2]
            if mu is not None:  # the manager sets a case up once without parameters
                core.SetValue(K.YOUNG_MODULUS, mu[0])
                core.SetValue(K.POISSON_RATIO, mu[1])

        def RunSolutionLoop(self):
            begin = time.perf_counter()
            super().RunSolutionLoop()
            seconds.append(time.perf_counter() - begin)

        def GetFinalData(self):
            nodes = model["Structure"].Nodes
            u = [list(node.GetSolutionStepValue(K.DISPLACEMENT))[:2] for node in nodes]
            return {"u": np.array(u)}

    return Plate(model, parameters)


def row(name, answers, truth, ms):
    """A row of the table: the largest and the mean error, the time of one answer."""
    errors = [
        np.linalg.norm(a - u) / np.linalg.norm(u) for a, u in zip(answers, truth, strict=True)
    ]
    return {"name": name, "max_error": max(errors), "mean_error": np.mean(errors), "ms": ms}


def main(model_path, store):
    """The rows of the table."""
    (model, *_), runs = rom.load_model(model_path), rom.read(store)
    old, new = runs.mu.tolist(), rom.sobol(own.box, len(runs.mu) + 4)[-4:]
    manager = RomManager("project.json", K.Parameters(json.dumps(SETTINGS)), plate,
        mu_names=list(own.box.names))  # fmt: skip
    manager.RunFOM(mu_run=new.tolist())
    truth, full = [answer["u"].ravel() for answer in manager.QoI_Run_FOM], 1e3 * np.mean(seconds)
    manager.Fit(old)
    del seconds[:]
    manager.RunROM(mu_run=new.tolist(), mu_train=old)
    theirs, online = [answer["u"].ravel() for answer in manager.QoI_Run_ROM], 1e3 * np.mean(seconds)
    model.predict(new[0])
    begin = time.perf_counter()
    ours = [model.predict(mu).field("u").ravel() for mu in new]
    ms = 1e3 * (time.perf_counter() - begin) / len(new)
    unit = [own.box.to_unit(mu) for mu in runs.mu]
    nearest = [
        runs.u[:, int(np.argmin([np.linalg.norm(x - own.box.to_unit(mu)) for x in unit]))]
        for mu in new
    ]
    mean = [runs.u.mean(axis=1)] * len(new)
    return [
        row("full solve", truth, truth, full),
        row("Kratos, Galerkin on its basis", theirs, truth, online),
        row("ours, Gaussian process on coefficients", ours, truth, ms),
        row("nearest run", nearest, truth, 0.0),
        row("mean of the runs", mean, truth, 0.0),
    ]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])) + "\n")
