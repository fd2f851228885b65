"""A model behind HTTP, asked by http.client and by bare sockets."""

import json
import re
import signal
import socket
import subprocess
import threading
from contextlib import closing, contextmanager
from http.client import HTTPConnection

import numpy as np
import pytest

import rom
from cases.thermal_block import problem
from rom.archive.models import save_model
from rom.certified import galerkin_model
from rom.deploy import model_server
from rom.deploy.service import NUMBERS, REQUEST
from rom.errors import BadInput
from rom.gp import field_gp
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import euclidean
from tests.command_line import words

BOX = Box(("k", "q"), np.array([1.0, -1.0]), np.array([2.0, 1.0]), ("W/(m K)", "W"))


def field_model():
    mu = rom.sobol(BOX, 16)
    u = np.cos(np.linspace(0, 1, 5)[:, None] * mu[:, 0]) + mu[:, 1]
    space = euclidean(5, fields=(rom.Field("T", "K", np.arange(5)),))
    snapshots = Snapshots(space, mu, u)
    return field_gp(snapshots, rom.pod(snapshots, rank=3)[0], BOX)


def certified_model():
    block = problem(cells=6)
    mu = rom.sobol(block.box, 6)
    u = np.stack([block.solve(point) for point in mu], axis=1)
    return galerkin_model(block, rom.pod(Snapshots(block.space, mu, u), rank=3)[0])


@contextmanager
def service(model):
    with model_server(model, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ask(server, request, path="/predict", headers=None):
    """(status, answer) of a request, a value or bytes."""
    body = request if isinstance(request, bytes) else json.dumps(request)
    with closing(HTTPConnection(*server.server_address[:2], timeout=20)) as line:
        line.request("POST", path, body, headers or {})
        answer = line.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.fixture(scope="module")
def fields():
    model = field_model()
    with service(model) as server:
        yield model, server


def test_answers_are_those_of_predict(fields):
    model, server = fields
    points = [[1.25, 0.5], [1.75, -0.5], [1.5, 0.0]]
    answer = model.predict(np.array(points))
    named = {"k": [1.25, 1.75, 1.5], "q": [0.5, -0.5, 0.0]}
    for mu in (points, named):
        status, told = ask(server, {"mu": mu, "fields": ["T"]})
        assert status == 200 and told["mu"] == named and told["fields"]["T"]["unit"] == "K"
        for i in range(3):
            assert told["fields"]["T"]["values"][i] == answer.field("T", i).tolist()
            assert told["fields"]["T"]["std"][i] == answer.std("T", i).tolist()
    status, told = ask(server, {"mu": {"k": 1.25, "q": 0.5}, "fields": {"T": [4, 0]}})
    alone = model.predict([1.25, 0.5]).field("T")
    assert told["fields"]["T"]["values"] == [alone[[4, 0]].tolist()]


def test_a_bound_is_sent_with_its_norm_and_kind():
    model = certified_model()
    mu = model.box.from_unit(np.full((1, model.box.p), 0.4))
    answer = model.predict(mu)
    with service(model) as server:
        status, told = ask(server, {"mu": mu.tolist()})
    (error,) = told["errors"]
    assert status == 200 and error["known"] == "certified bound" and answer.bound[0] > 0
    assert error["values"] == answer.bound.tolist() and error["norm"] == answer.errors[0].norm


def test_what_is_asked_is_told(fields):
    _, server = fields
    with closing(HTTPConnection(*server.server_address[:2], timeout=20)) as line:
        line.request("GET", "/")
        told = json.loads(line.getresponse().read())
        assert told["parameters"] == [
            {"name": "k", "unit": "W/(m K)", "lower": 1.0, "upper": 2.0},
            {"name": "q", "unit": "W", "lower": -1.0, "upper": 1.0},
        ]
        assert told["fields"][0]["name"] == "T" and told["fields"][0]["unit"] == "K"
        line.request("POST", "/predict", json.dumps(told["ask"]["example"]))
        assert line.getresponse().status == 200


@pytest.mark.parametrize(
    ("request_", "status", "text"),
    [
        ({"mu": {"k": 2.5, "q": 0}}, 422, r"k = 2\.5.*W/\(m K\)"),
        ({"mu": {"k": 1.5}}, 400, r"lacks \['q'\]"),
        ({"mu": {"k": 1.5, "q": 0, "z": 1}}, 400, r"\['z'\] besides"),
        ({"mu": {"k": [1.5], "q": 0}}, 400, "differ in length"),
        ({"mu": [[1.5, 0], [1.5]]}, 400, "mu is no array"),
        ({"mu": ["a", "b"]}, 400, "mu is an array of"),
        ({"mu": [1.5, 10**400]}, 400, "mu is"),
        ({"mu": [1.5, 0], "t": [0.0]}, 400, "knows no time"),
        ({"mu": [1.5, 0], "fields": ["U"]}, 400, "tells no field 'U'; it tells: T"),
        ({"mu": [1.5, 0], "fields": {"T": [5]}}, 400, "rows 0 to 4"),
        ({"mu": [1.5, 0], "fields": {"T": [-1]}}, 400, "rows 0 to 4"),
        ({"mu": [1.5, 0], "fields": {"T": [0.5]}}, 400, "fractions"),
        ({"mu": [1.5, 0], "fields": 3}, 400, "fields is a int"),
        ({"mu": [1.5, 0], "given": [1]}, 400, "given is a list"),
        ({"parameters": [1.5, 0]}, 400, "no 'parameters' in a request"),
        ([1.5, 0], 400, "a list of JSON"),
        (b'{"mu": [1.5, NaN]}', 400, "holds NaN"),
        (b'{"mu": ' + b"[" * 100_000, 400, "no JSON"),
        (b"\xff\xfe", 400, "no JSON"),
        (b"", 400, "no JSON"),
        ({"mu": [[1.5, 0]] * 20_000, "fields": {"T": [0] * 60}}, 400, str(NUMBERS)),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_answered_is_told_why(request_, status, text, fields):
    told = ask(fields[1], request_)
    assert told[0] == status and re.search(text, told[1]["error"])


def test_hosts_paths_and_sizes_are_checked(fields):
    _, server = fields
    assert ask(server, {}, headers={"Host": "pages.example"})[0] == 403
    assert ask(server, {"mu": [1.5, 0]}, headers={"Host": "[::1]:80"})[0] == 200
    assert ask(server, {}, path="/other")[0] == 404
    with closing(HTTPConnection(*server.server_address[:2], timeout=20)) as line:
        line.putrequest("POST", "/predict")
        line.putheader("Content-Length", str(REQUEST + 1))
        line.endheaders()
        assert line.getresponse().status == 413
    assert b" 411 " in say(server, b"POST /predict HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with pytest.raises(BadInput, match="give another"):
        model_server(fields[0], port=server.server_address[1])


def say(server, data):
    """What comes back for bytes."""
    with closing(socket.create_connection(server.server_address[:2], timeout=20)) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        parts = []
        while part := line.recv(65536):
            parts.append(part)
    return b"".join(parts)


def malformed(rng):
    """A request with some bytes changed, left out or doubled."""
    body = json.dumps({"mu": {"k": 1.5, "q": 0.0}, "fields": {"T": [0, 1]}}).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    data = bytearray(head + body)
    for _ in range(rng.integers(1, 6)):
        place, kind = int(rng.integers(len(data))), rng.integers(3)
        if kind == 0:
            data[place] = int(rng.integers(256))
        elif kind == 1:
            del data[place : place + int(rng.integers(1, 9))]
        else:
            data[place:place] = data[place : place + int(rng.integers(1, 9))]
    return bytes(data)


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_malformed_requests_end_nothing(count, fields):
    _, server = fields
    rng = np.random.default_rng(7)
    for _ in range(count):
        answer = say(server, malformed(rng))
        assert not re.match(rb"HTTP/1\.[01] 5(?!05|01)", answer), answer
    assert ask(server, {"mu": [1.5, 0]})[0] == 200


def test_the_command_serves_until_it_is_ended(tmp_path):
    save_model(tmp_path / "model.h5", field_model())
    command = words("serve", tmp_path / "model.h5", "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = re.match(r"http://([\d.]+):(\d+) ", process.stdout.readline())
        with closing(HTTPConnection(url[1], int(url[2]), timeout=20)) as line:
            line.request("POST", "/predict", '{"mu": {"k": 1.5, "q": 0}}')
            assert line.getresponse().status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
