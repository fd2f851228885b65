"""The curves as a picture: measured against modelled, strong and weak scaling.

Strong scaling at two sizes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpc.scaling.model import NETWORKS

STYLES = dict(zip(NETWORKS, (":", "-", "--"), strict=True))


def drawn(rows: list[dict[str, Any]], path: Path) -> None:
    """scaling.png: four panels, every curve labelled measured or modelled."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(12, 9), constrained_layout=True)
    _against(axes[0, 0], [r for r in rows if "model_s" in r])
    for axis, m in ((axes[1, 0], 5e6), (axes[1, 1], 75e6)):
        _curves(
            axis,
            [r for r in rows if r["label"] == "modelled" and r["kind"] == "strong" and r["m"] == m],
            "seconds",
        )
        axis.set(
            xscale="log",
            yscale="log",
            ylabel="time [s]",
            title=f"strong scaling, {m / 1e6:g} million dofs (modelled)",
        )
    _curves(
        axes[0, 1],
        [r for r in rows if r["label"] == "modelled" and r["kind"] == "weak"],
        "efficiency",
    )
    axes[0, 1].set(
        xscale="log",
        ylabel="efficiency",
        ylim=(0, 1.25),
        title="weak scaling, 36,600 dofs per rank (modelled)",
    )
    for axis in axes.flat[1:]:
        axis.set_xlabel("ranks")
        axis.legend(fontsize=8)
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _against(axis: Any, line: list[dict[str, Any]]) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    for kind, mark in (("strong", "o"), ("weak", "s")):
        for p, colour in ((1, "C0"), (2, "C1")):
            some = [r for r in line if r["kind"] == kind and r["p"] == p]
            label = f"{kind}, {p} rank{'s' if p > 1 else ''}"
            axis.loglog(
                [r["cpu_model_s"] for r in some],
                [r["cpu_s"] for r in some],
                mark,
                color=colour,
                label=label,
            )
    ends = [min(r["cpu_s"] for r in line) / 2, 2 * max(r["cpu_s"] for r in line)]
    axis.loglog(ends, ends, "k-", lw=0.8, label="measured = modelled")
    axis.fill_between(
        ends,
        [x / 1.25 for x in ends],
        [1.25 * x for x in ends],
        color="k",
        alpha=0.1,
        label="within 25 %",
    )
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        side.set_major_formatter("{x:g}")
        side.set_minor_locator(NullLocator())
    axis.set(
        xlabel="modelled [s of processor]",
        ylabel="measured here [s of processor]",
        title="Gram POD on this machine: measured against modelled",
    )
    axis.legend(fontsize=8)


def _curves(axis: Any, line: list[dict[str, Any]], what: str) -> None:
    for n, colour in ((200, "C0"), (1000, "C1"), (2500, "C2")):
        for network, style in STYLES.items():
            some = sorted(
                (r for r in line if r["n"] == n and r["network"] == network), key=lambda r: r["p"]
            )
            label = (
                f"modelled, {n} snapshots, {network} network"
                if network == "typical" or n == 2500
                else None
            )
            axis.plot(
                [r["p"] for r in some], [r[what] for r in some], style, color=colour, label=label
            )
