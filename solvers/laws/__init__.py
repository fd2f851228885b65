"""Material laws at integration points, in Mandel notation: a law is one file.

A law is called with strain (g, 6), temperature (g,) [K or degC, as its tables], old state
(g, width) and dt [s], and answers stress (g, 6) [as its moduli], the consistent tangent
d stress / d strain (g, 6, 6) and the new state. The first column of a state is p, the
cumulated (visco)plastic strain. See `rom.solids.Law` for the protocol.

To add a law, add a file with one frozen dataclass: nothing else names it, LAWS lists the
folder.

Reference: Simo and Hughes, Computational Inelasticity (1998).
"""

from importlib import import_module
from pkgutil import iter_modules


def _list_laws() -> dict[str, type]:
    """ "module:name" -> class of every law of this folder, for loading models.

    Also as "solvers.laws:name", which files of version 0.1.0 hold.
    """
    laws: dict[str, type] = {}
    for info in iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        for name, law in vars(module).items():
            if isinstance(law, type) and law.__module__ == module.__name__:
                laws[f"{law.__module__}:{name}"] = law
                laws[f"{__name__}:{name}"] = law
    return laws


LAWS = _list_laws()
