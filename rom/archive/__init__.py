"""Nouns as sealed files: one file, one digest, no pickle.

A noun is a tree of frozen dataclasses, arrays, text and numbers. It is stored as raw arrays and
a JSON schema that names the classes; the sha256 of the content stands before it, so that
h(bytes) = seal is checked before anything is parsed. Loading imports and runs nothing that a
file names: classes are those that the chapters declare in NOUNS, functions come from the caller.

>>> import tempfile
>>> from pathlib import Path
>>> import numpy as np
>>> from rom.archive import load, save
>>> from rom.parameters import Box
>>> path = Path(tempfile.mkdtemp()) / "box.h5"
>>> digest = save(path, {"box": Box(("k",), np.zeros(1), np.ones(1)), "runs": 3})
>>> len(digest)
64
>>> content = load(path)
>>> content["box"].names, content["runs"]
(('k',), 3)

Reference: Pillai et al., All file systems are not created equal, OSDI (2014).
"""

from rom.archive.headers import Header, open_header
from rom.archive.models import load_model, save_model
from rom.archive.nouns import load, save

__all__ = ["Header", "load", "load_model", "open_header", "save", "save_model"]
