"""torch is loaded before NGSolve, whose OpenBLAS is loaded globally.

Bound after it, torch crashes.
"""

from contextlib import suppress

with suppress(ImportError):
    import torch  # noqa: F401
