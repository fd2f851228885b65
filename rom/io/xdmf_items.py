"""Numbers of XDMF: in the text, in HDF5, in bytes, parts of other arrays.

Reference: XDMF Model and Format, versions 2 and 3 (2017).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.xdmf_expressions import combine_arrays

LETTERS = {"float": "f", "int": "i", "uint": "u", "char": "i", "uchar": "u"}
ORDERS = {"native": "<", "little": "<", "littleendian": "<", "big": ">", "bigendian": ">"}
INCLUDE = "}include"  # of XInclude, under whatever address
MAX_DEPTH = 16


@dataclass(frozen=True, eq=False)
class Document:
    """A file of XDMF and the root of its tree."""

    path: Path
    root: Any

    def follow(self, element: Any, depth: int = 0) -> Any:
        """The element that one refers to, or itself."""
        path = element.get("Reference")
        if path is None:
            return element
        text = (element.text or "").strip() if path.upper() == "XML" else path
        target = self.find(text)
        if depth > MAX_DEPTH:
            raise ForeignFile(f"{self.path.name}: {text} refers to itself")
        return self.follow(target, depth + 1)

    def find(self, text: str) -> Any:
        """The element at a path of the document, /Xdmf/Domain/..."""
        inner = re.sub(r"^\s*/?/?Xdmf/?(?:\[1\]/)?", "", text)
        steps = ".//" + inner.lstrip("/") if text.lstrip().startswith("//") else f"./{inner}"
        try:
            target = self.root.find(steps)
        except (SyntaxError, KeyError) as error:
            raise BadInput(f"{self.path.name}: path {text!r} is not known here") from error
        if target is None:
            raise ForeignFile(f"{self.path.name}: nothing stands at {text!r}")
        return target

    def children(self, grid: Any, tag: str) -> list[Any]:
        """The children of a grid of one tag, those that it includes from elsewhere too."""
        direct = [self.follow(child) for child in grid.findall(tag)]
        for include in grid:
            if not str(include.tag).endswith(INCLUDE):
                continue
            text = include.get("xpointer", "").strip()
            match = re.fullmatch(r"(?:xpointer\()?(.*?)/\*\[(.*?)\]\)?", text)
            if match is not None and f"self::{tag}" in match[2]:
                direct += self.children(self.find(match[1]), tag)
            elif match is None and text:
                path = text.removeprefix("xpointer(").removesuffix(")")
                target = self.find(path)
                direct += [self.follow(target)] if target.tag == tag else []
        return direct

    def numbers(self, item: Any, depth: int = 0) -> np.ndarray:
        """The array of a DataItem."""
        item = self.follow(item)
        kind = item.get("ItemType", "Uniform").lower()
        if depth > MAX_DEPTH:
            raise ForeignFile(f"{self.path.name}: DataItem within DataItem within DataItem")
        if kind == "hyperslab":
            return self._slab(item, depth)
        if kind == "function":
            return self._function(item, depth)
        if kind != "uniform":
            raise BadInput(
                f"{self.path.name} has a DataItem of type {kind!r}; write its numbers out"
            )
        inner = item.find("DataItem")
        if inner is not None and item.get("Format") is None:
            return self.numbers(inner, depth + 1)
        return self._uniform(item)

    def _uniform(self, item: Any) -> np.ndarray:
        shape = tuple(int(word) for word in item.get("Dimensions", "").split())
        text = (item.text or "").strip()
        form = item.get("Format", "XML").upper()
        dtype = self._dtype(item)
        if form == "XML":
            words = text.split()
            values = np.array(words, dtype=float if dtype.kind == "f" else np.int64)
        elif form == "HDF":
            values = self._hdf(text)
        elif form == "BINARY":
            if item.get("Compression", "Raw").lower() != "raw":
                raise BadInput(f"{self.path.name}: packed bytes are not known here")
            file, count = self._beside(text), math.prod(shape)
            seek = int(item.get("Seek", "0"))
            values = np.fromfile(file, dtype, count, offset=seek)
            values = values.astype(dtype.newbyteorder("="))
        else:
            raise BadInput(f"{self.path.name}: format {form!r} is not known here")
        if shape and math.prod(shape) != values.size:
            raise ForeignFile(
                f"{self.path.name} announces {math.prod(shape)} numbers and holds {values.size}; "
                "is it complete?"
            )
        return values.reshape(shape) if shape else values

    def _dtype(self, item: Any) -> np.dtype[Any]:
        letter = LETTERS.get((item.get("NumberType") or item.get("DataType") or "Float").lower())
        if letter is None:
            raise BadInput(f"{self.path.name}: numbers of type {item.get('NumberType')!r}")
        is_char = "char" in (item.get("NumberType") or item.get("DataType") or "").lower()
        size = item.get("Precision", "1" if is_char else "4")
        order = ORDERS[item.get("Endian", "Native").lower()]
        return np.dtype(f"{order}{letter}{size}")

    def _beside(self, name: str) -> Path:
        file = self.path.parent / name
        if not file.is_file():
            raise ForeignFile(f"no file {name}, which {self.path.name} names")
        return file

    def _hdf(self, text: str) -> np.ndarray:
        import h5py

        name, _, place = text.partition(":")
        with h5py.File(self._beside(name), "r") as file:
            if place not in file:
                raise ForeignFile(f"{name} has no dataset {place}, which {self.path.name} names")
            return np.asarray(file[place])

    def _function(self, item: Any, depth: int) -> np.ndarray:
        """What an expression makes of its arrays."""
        parts = [self.numbers(part, depth + 1) for part in item.findall("DataItem")]
        try:
            values = combine_arrays(item.get("Function", ""), parts)
        except ValueError as error:
            raise BadInput(f"{self.path.name}: {error}; write its numbers out") from error
        return self._shaped(item, values)

    def _shaped(self, item: Any, values: np.ndarray) -> np.ndarray:
        """Values of a size that is announced, in that shape."""
        shape = tuple(int(word) for word in item.get("Dimensions", "").split())
        return values.reshape(shape) if shape and math.prod(shape) == values.size else values

    def _slab(self, item: Any, depth: int) -> np.ndarray:
        """A regular part of an array: start, step and count of every axis."""
        plan, source = item.findall("DataItem")
        start, step, count = self.numbers(plan, depth + 1).astype(np.int64).reshape(3, -1)
        whole = self.numbers(source, depth + 1)
        last = start + step * (count - 1)
        if len(start) != whole.ndim or (start < 0).any() or (last >= whole.shape).any():
            raise ForeignFile(f"{self.path.name}: a HyperSlab leaves its array of {whole.shape}")
        parts = [slice(a, a + s * n, s) for a, s, n in zip(start, step, count, strict=True)]
        part: np.ndarray = whole[tuple(parts)]
        return self._shaped(item, part)


def open_document(path: Path) -> Document:
    """The document in a file. Raises ForeignFile where it is no XDMF."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ForeignFile(
            f"{path.name} is damaged or truncated ({error}); write it again"
        ) from error
    if root.tag != "Xdmf":
        raise ForeignFile(f"{path.name} is no XDMF: its root is <{root.tag}>")
    return Document(path, root)
