"""python -m hpc.bench [NAME ...]: run the named benchmarks, or all."""

import importlib
import pkgutil
import sys

import hpc.bench

names = sys.argv[1:] or [
    module.name
    for module in pkgutil.iter_modules(hpc.bench.__path__)
    if not module.name.startswith("_")
]
for name in names:
    importlib.import_module(f"hpc.bench.{name}").main()
