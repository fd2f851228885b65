"""A model behind HTTP: questions and answers in JSON.

    GET  /         what the model asks and tells, the limits, an example
    POST /predict  {"mu": {"k": 2.0}}, {"mu": [[2.0], [3.0]]}; and "t", "signals", "given",
                   and "fields": {"T": [0, 7]}, the fields to send, of each all rows or some

Numbers that are not finite are null in an answer. Reference: RFC 9110 (Fielding, Nottingham and
Reschke, 2022), HTTP semantics.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socket import SO_REUSEADDR, SOL_SOCKET
from typing import Any

import numpy as np

from rom import __version__
from rom.arrays import gate, integers, of_noun
from rom.errors import BadInput, NotConverged, OutsideBox, RomError, Singular
from rom.model import Asks, Model
from rom.parameters import Box
from rom.prediction import Error, Part, Prediction, Quantity

REQUEST = 2**20  # bytes
NUMBERS = 1_000_000  # in an answer
WORDS = ("mu", "t", "signals", "given", "fields")
IDLE = 60.0  # seconds until a silent connection is closed
LOCAL = "localhost"
log = logging.getLogger("rom")


class ModelServer(ThreadingHTTPServer):
    """A server that answers questions to a model; `serve_forever` runs it.

    url : where it listens
    """

    daemon_threads = True
    allow_reuse_address = False
    request_queue_size = 128

    def __init__(self, model: Model, address: tuple[str, int]) -> None:
        self.model = model
        self.description = json.dumps(describe_model(model)).encode()
        super().__init__(address, _Conversation)

    def server_bind(self) -> None:
        """Takes a port again that a server before has just left."""
        self.socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        super().server_bind()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"


@gate(model=of_noun(Model))
def model_server(model: Model, host: str = "127.0.0.1", port: int = 8000) -> ModelServer:
    """A server of a model's answers, not yet running.

    host : an address of this machine; by default other machines do not reach it. Nothing is
        encrypted, and nobody is checked.
    port : 0 takes a free one
    Raises BadInput for a model that asks for a mesh or a loading, and for an address that is no
    address of this machine or is taken.
    """
    asks = model.asks
    for what, is_asked in (("a mesh", asks.mesh), ("a loading", asks.loading)):
        if is_asked:
            raise BadInput(
                f"the model asks for {what}; a service answers models of parameters, times, "
                "signals and fields"
            )
    try:
        return ModelServer(model, (host, port))
    except (OSError, OverflowError, UnicodeError) as error:
        raise BadInput(f"no server at {host}, port {port}: {error}; give another") from error


def describe_model(model: Model) -> dict[str, Any]:
    """What a model asks and tells, as the service says it."""
    asks = model.asks
    return {
        "model": type(model).__name__,
        "version": __version__,
        "parameters": _parameters(asks),
        "times [s]": None if asks.times is None else _plain(asks.times),
        "signals": [_quantity(quantity) for quantity in asks.signals],
        "given": [_quantity(quantity) for quantity in asks.fields],
        "fields": [_quantity(quantity) for quantity in model.tells],
        "outputs": [_quantity(quantity) for quantity in model.tells_outputs],
        "error": str(model.known),
        "limits": {"bytes of a request": REQUEST, "numbers of an answer": NUMBERS},
        "ask": {"path": "/predict", "method": "POST", "example": _example(asks, model.tells)},
    }


def _parameters(asks: Asks) -> list[dict[str, Any]]:
    box = asks.box
    if box is None:
        return [{"name": f"mu{k}"} for k in range(asks.p or 0)]
    ends = zip(box.names, box.units, box.lower.tolist(), box.upper.tolist(), strict=True)
    return [{"name": n, "unit": u, "lower": low, "upper": high} for n, u, low, high in ends]


def _quantity(quantity: Quantity) -> dict[str, Any]:
    return {
        "name": quantity.name,
        "unit": quantity.unit,
        "components": quantity.components,
        "at": str(quantity.place),
    }


def _example(asks: Asks, tells: tuple[Quantity, ...]) -> dict[str, Any]:
    """A request in the middle of the box."""
    example: dict[str, Any] = {}
    if asks.box is not None:
        middle = asks.box.from_unit(np.full((1, asks.box.p), 0.5))[0]
        example["mu"] = dict(zip(asks.box.names, middle.tolist(), strict=True))
    if tells:
        example["fields"] = {tells[0].name: [0]}
    return example


def answer_request(model: Model, body: bytes) -> dict[str, Any]:
    """The answer to the text of a request.

    Raises BadInput for what is no question to this model, OutsideBox.
    """
    request = _read_json(body)
    foreign = [key for key in request if key not in WORDS]
    if foreign:
        raise BadInput(f"no {foreign[0]!r} in a request; it may hold: {', '.join(WORDS)}")
    for name in ("signals", "given"):
        if not isinstance(request.get(name, {}), dict):
            raise BadInput(f"{name} is a {type(request[name]).__name__}; give name -> numbers")
    fields = _chosen_fields(model, request.get("fields", {}))
    question = model.asks.question(
        _points(model.asks.box, request.get("mu", [])),
        t=request.get("t"),
        signals=request.get("signals"),
        fields=request.get("given"),
    )
    return _written(model.answer(question), model.asks.box, fields)


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the request is no JSON ({error}); give an object") from error
    if not isinstance(request, dict):
        raise BadInput(f"the request is a {type(request).__name__} of JSON; give an object")
    return request


def _refuse_constant(text: str) -> None:
    raise BadInput(f"the request holds {text}; give finite numbers")


def _points(box: Box | None, mu: Any) -> Any:
    """mu as the model takes it, of numbers or lists of one length by name too."""
    if not isinstance(mu, dict):
        return mu
    if box is None:
        raise BadInput("the model's parameters have no names; give mu as a list of numbers")
    missing = [name for name in box.names if name not in mu]
    foreign = [name for name in mu if name not in box.names]
    if missing or foreign:
        raise BadInput(
            f"mu lacks {missing}, and has {foreign} besides; the parameters are: "
            f"{', '.join(box.names)}"
        )
    columns = [mu[name] for name in box.names]
    if not any(isinstance(column, list) for column in columns):
        return columns
    lengths = {len(column) if isinstance(column, list) else -1 for column in columns}
    if len(lengths) > 1:
        raise BadInput("the parameters in mu differ in length; give one value of each per sample")
    return list(map(list, zip(*columns, strict=True)))


def _chosen_fields(model: Model, request: Any) -> dict[str, np.ndarray | None]:
    """Field -> rows to send, None for all."""
    if isinstance(request, list):
        request = dict.fromkeys([name if isinstance(name, str) else "" for name in request])
    if not isinstance(request, dict):
        raise BadInput(f"fields is a {type(request).__name__}; give names, or name -> rows")
    names = [quantity.name for quantity in model.tells]
    for name in request:
        if name not in names:
            raise BadInput(f"the model tells no field {name!r}; it tells: {', '.join(names)}")
    return {
        name: None if rows is None else integers(rows, f"rows of {name}")
        for name, rows in request.items()
    }


def _written(
    answer: Prediction, box: Box | None, fields: Mapping[str, np.ndarray | None]
) -> dict[str, Any]:
    """An answer as plain numbers; each array has the samples first."""
    names = box.names if box is not None else [f"mu{k}" for k in range(answer.question.mu.shape[1])]
    return {
        "mu": dict(zip(names, answer.question.mu.T.tolist(), strict=True)),
        "t [s]": None if answer.t is None else _plain(answer.t),
        "outputs": {
            name: {
                "unit": output.unit,
                "values": _plain(output.value),
                "error": None if output.error is None else _error(output.error),
            }
            for name, output in answer.outputs.items()
        },
        "errors": [_error(error) for error in answer.errors],
        "inside": None if answer.inside is None else np.asarray(answer.inside).tolist(),
        "fields": _field_numbers(answer, fields),
        "warnings": [{"kind": warned.kind, "text": warned.text} for warned in answer.warnings],
    }


def _field_numbers(
    answer: Prediction, fields: Mapping[str, np.ndarray | None]
) -> dict[str, dict[str, Any]]:
    """Values, deviations and errors of fields at the rows that are sent."""
    values, count = {}, 0
    for name, rows in fields.items():
        part = answer.part(name)
        size = _count_rows(part)
        if rows is not None and len(rows) and not (rows.min() >= 0 and rows.max() < size):
            raise BadInput(f"field {name!r} has rows 0 to {size - 1}; give some of them")
        size = size if rows is None else len(rows)
        count += answer.m * size * part.a.shape[2] * (1 if part.std is None else 2)
        if count > NUMBERS:
            raise BadInput(
                f"the answer would hold more than {NUMBERS} numbers; ask for fewer rows or samples"
            )
        values[name] = {
            "unit": part.quantity.unit,
            "values": _samples(answer, answer.field, name, rows),
            "std": None if part.std is None else _samples(answer, answer.std, name, rows),
            "errors": [_error(error) for error in part.errors],
        }
    return values


def _count_rows(part: Part) -> int:
    """Values of a field at one time."""
    if part.back is not None:
        return int(part.back.shape[0])
    if part.basis is None:
        return len(part.a)
    return part.basis.space.n if part.rows is None else len(part.rows)


def _samples(
    answer: Prediction, values: Callable[..., Any], name: str, rows: np.ndarray | None
) -> list[Any]:
    time = 0 if answer.t is None else None
    return [_plain(values(name, sample, time=time, rows=rows)) for sample in range(answer.m)]


def _error(error: Error) -> dict[str, Any]:
    return {
        "known": str(error.known),
        "norm": error.norm,
        "unit": error.unit,
        "level": error.level,
        "whole trajectories": error.whole,
        "values": _plain(error.value),
    }


def _plain(array: np.ndarray) -> Any:
    """Numbers of an array, [real, imaginary] where complex, None where not finite."""
    if np.iscomplexobj(array):
        array = np.stack([array.real, array.imag], axis=-1)
    if np.isfinite(array).all():
        return array.tolist()
    plain = array.astype(object)
    plain[~np.isfinite(array)] = None
    return plain.tolist()


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


class _Conversation(BaseHTTPRequestHandler):
    """One connection; requests on it come one after the other."""

    protocol_version = "HTTP/1.1"
    server_version = "rom"
    sys_version = ""
    timeout = IDLE
    wbufsize = -1
    disable_nagle_algorithm = True
    server: ModelServer

    def do_GET(self) -> None:
        """What the model asks and tells."""
        if self._is_foreign():
            return
        if self.path != "/":
            self._refuse(HTTPStatus.NOT_FOUND, f"no {self.path[:80]}; there is GET /")
            return
        self._send(HTTPStatus.OK, self.server.description)

    def do_POST(self) -> None:
        """The answer to a question."""
        body = self._body()
        if body is None or self._is_foreign():
            return
        if self.path != "/predict":
            self._refuse(HTTPStatus.NOT_FOUND, f"no {self.path[:80]}; there is POST /predict")
            return
        try:
            answer = answer_request(self.server.model, body)
        except OutsideBox as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except (BadInput, NotConverged, Singular) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except RomError as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        except Exception:
            log.exception("a question was not answered")
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "the model failed; the log says more")
        else:
            self._send(HTTPStatus.OK, json.dumps(answer, allow_nan=False).encode())

    def _body(self) -> bytes | None:
        """The bytes that came, or None where they were refused."""
        text = self.headers.get("Content-Length") or ""
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            self.close_connection = True
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "give Content-Length, the bytes of the body")
            return None
        if int(text) > REQUEST:
            self.close_connection = True
            text = f"a request has at most {REQUEST} bytes; ask for fewer samples"
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
            return None
        body = self.rfile.read(int(text))
        if len(body) < int(text):
            self.close_connection = True
            return None
        return body

    def _is_foreign(self) -> bool:
        """Whether another host's page asks, by a name of its own; then refused."""
        if not _is_loopback(str(self.server.server_address[0])):
            return False
        host = self.headers.get("Host") or LOCAL
        name = host.partition("]")[0][1:] if host.startswith("[") else host.partition(":")[0]
        if name == LOCAL or _is_loopback(name):
            return False
        self._refuse(HTTPStatus.FORBIDDEN, f"host {name[:80]!r} is not this machine")
        return True

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        self._send(status, json.dumps({"error": text}).encode())

    def _send(self, status: HTTPStatus, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests go to the log."""
        log.debug("%s " + format, self.client_address[0], *args)
