"""Meshes and frames over a socket: JSON and the bytes of arrays; nothing runs."""

from __future__ import annotations

import json
import math
import socket
import struct
from typing import Any

import numpy as np

from rom.errors import ForeignFile
from rom.io.frame import Frame
from rom.mesh import Mesh

LENGTH = struct.Struct("<Q")
CLASSES = {"Mesh": Mesh, "Frame": Frame}
MAX_TEXT = 2**30  # bytes of JSON


def send_message(connection: socket.socket, value: Any) -> None:
    """Sends plain values, dicts, tuples, arrays, meshes and frames.

    Raises ForeignFile for arrays of objects.
    """
    arrays: list[np.ndarray] = []
    text = json.dumps(_encode(value, arrays)).encode()
    connection.sendall(LENGTH.pack(len(text)) + text)
    for array in arrays:
        if array.nbytes:
            connection.sendall(memoryview(array.reshape(-1).view(np.uint8)))


def receive_message(connection: socket.socket) -> Any:
    """What `send_message` sent; EOFError where the other end is gone."""
    (length,) = LENGTH.unpack(_receive(connection, LENGTH.size))
    if length > MAX_TEXT:
        raise EOFError
    return _decode(json.loads(_receive(connection, length)), connection)


def _receive(connection: socket.socket, size: int) -> bytearray:
    content = bytearray(size)
    _fill(connection, memoryview(content))
    return content


def _fill(connection: socket.socket, view: memoryview) -> None:
    while view:
        count = connection.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]


def _encode(value: Any, arrays: list[np.ndarray]) -> Any:
    """JSON of a value, [kind, content]; arrays are put aside."""
    if isinstance(value, (Mesh, Frame)):
        content = [[key, _encode(part, arrays)] for key, part in vars(value).items()]
        return [type(value).__name__, content]
    if isinstance(value, dict):
        return ["dict", [[str(key), _encode(part, arrays)] for key, part in value.items()]]
    if isinstance(value, (tuple, list)):
        return ["tuple", [_encode(part, arrays) for part in value]]
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, np.ndarray):
        return ["plain", value]
    if value.dtype.kind not in "biufcUS":
        raise ForeignFile(f"a field is of type {value.dtype}; fields are numbers")
    arrays.append(np.ascontiguousarray(value))
    return ["array", [value.dtype.str, list(value.shape)]]


def _decode(message: Any, connection: socket.socket) -> Any:
    kind, content = message
    if kind in CLASSES:
        return CLASSES[kind](**{key: _decode(part, connection) for key, part in content})
    if kind == "dict":
        return {key: _decode(part, connection) for key, part in content}
    if kind == "tuple":
        return tuple(_decode(part, connection) for part in content)
    if kind == "plain":
        return content
    array = np.empty(math.prod(content[1]), np.dtype(content[0]))
    if array.nbytes:
        _fill(connection, memoryview(array.view(np.uint8)))
    return array.reshape(content[1])
