"""Pages of models: what their script answers, against the models themselves."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

import rom
from rom.archive.models import save_model
from rom.deploy import write_page
from rom.deploy.page import FOLDER
from rom.errors import BadInput
from rom.gp import field_gp
from rom.snapshots import Snapshots
from rom.space import euclidean
from tests.command_line import rom_here
from tests.pages import BOX, certified, check_answers, kernels, process, tell

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def content_of(path):
    text = path.read_text()
    return json.loads(re.search(r'application/json">(.*?)</script>', text, re.DOTALL)[1])


def answers_of(path, mus, tmp_path):
    """What the script of a page answers, run by node."""
    script = tmp_path / "ask.js"
    data = tmp_path / "model.json"
    data.write_text(json.dumps(content_of(path)))
    script.write_text(
        f"const {{ opened, answerAt }} = require({json.dumps(str(FOLDER / 'online.js'))});"
        f"const page = opened(JSON.parse(require('fs').readFileSync({json.dumps(str(data))})));"
        f"{tell(path, mus)} console.log(JSON.stringify(told));"
    )
    run = subprocess.run([NODE, str(script)], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


@needs_node
def test_a_certified_model_answers_in_its_page_as_in_python(tmp_path):
    model, mesh = certified()
    path = write_page(tmp_path / "block.html", model, mesh)
    mus = rom.latin_hypercube(model.box, 30)
    check_answers(model, mus, answers_of(path, mus, tmp_path))


@needs_node
@pytest.mark.parametrize("kernel", kernels())
def test_a_process_answers_in_its_page_as_in_python(kernel, tmp_path):
    mean = "constant" if kernel == "sum" else "linear"
    model, mesh = process(kernel, mean)
    path = write_page(tmp_path / "gp.html", model, mesh)
    mus = rom.latin_hypercube(BOX, 30)
    check_answers(model, mus, answers_of(path, mus, tmp_path))


def test_the_fields_of_a_page_are_those_of_the_answer(tmp_path):
    model, mesh = process("rbf")
    content = content_of(write_page(tmp_path / "gp.html", model, mesh))
    unpack = lambda item: np.frombuffer(  # noqa: E731
        __import__("base64").b64decode(item["base64"]), item["type"]
    )
    nodes, answer = unpack(content["nodes"]), model.predict([2.0, 0.5])
    heat, flow = content["fields"]
    for field, name in ((heat, "T"), (flow, "v")):
        modes = unpack(field["modes"]).reshape(model.basis.r, -1)
        values = unpack(field["offset"]) + answer.coefficients @ modes
        expected = np.zeros((5, field["components"]))
        kept = slice(None) if name == "T" else [1, 2, 3, 4]
        expected[kept] = answer.field(name).reshape(-1, field["components"])
        np.testing.assert_allclose(values, expected[nodes].ravel(), rtol=2e-6, atol=1e-7)
    spread = model.stretch[0] * answer.coefficient_std
    ours = (spread / model.stretch[0])[:, None] * unpack(heat["modes"]).reshape(4, -1)
    own = np.sqrt((ours**2).sum(axis=0) + unpack(heat["tail"]) ** 2)
    np.testing.assert_allclose(own, answer.std("T")[nodes], rtol=1e-5)


def test_a_page_loads_nothing_and_takes_every_name(tmp_path):
    model, mesh = process("rbf")
    title = "</script><script>alert(1)</script>"
    text = write_page(tmp_path / "gp.html", model, mesh, title=title).read_text()
    assert text.count("</script>") == 2 and "alert(1)" in text
    assert not re.search(r"https?://|src=|@import|fetch\(|XMLHttpRequest", text)
    assert "default-src 'none'" in text


def test_what_a_page_cannot_answer_is_refused_by_name(tmp_path):
    mu = rom.sobol(BOX, 8)
    snapshots = Snapshots(euclidean(3), mu, np.vstack([mu.T, mu[:, :1].T ** 2]))
    basis = rom.pod(snapshots, rank=2)[0]
    with pytest.raises(BadInput, match="--regressor gp"):
        write_page(tmp_path / "a.html", field_gp(snapshots, basis, BOX, regressor="nearest"))
    turned = Snapshots(euclidean(3), mu, (1 + 1j) * snapshots.u)
    with pytest.raises(BadInput, match="real fields"):
        write_page(
            tmp_path / "a.html",
            field_gp(turned, rom.pod(turned, rank=2)[0], BOX, regressor="gp"),
        )
    assert not list(tmp_path.glob("*.html"))


def test_the_command_writes_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, mesh = certified()
    save_model("block.h5", model, mesh, {"command": "python own.py", "package": "rom-platform"})
    rom_here("export", "block.h5", "--out", "block.html")
    content = content_of(tmp_path / "block.html")
    assert content["origin"] == "python own.py; rom-platform" and content["title"] == "block"
    assert "no model" in rom_here("export", "block.html", "--out", "b.html", code=2)


def test_the_command_writes_a_unit_of_values_at_nodes(tmp_path, monkeypatch):
    import fmpy

    monkeypatch.chdir(tmp_path)
    model, mesh = process("rbf")
    save_model("gp.h5", model, mesh)
    rom_here("export", "gp.h5", "--out", "gp.fmu", "--at", "T=2", "--at", "v=3")
    found = fmpy.simulate_fmu("gp.fmu", start_values={"k": 2.0, "q": 0.5}, stop_time=1.0)
    answer = model.predict([2.0, 0.5])
    expected = [answer.field("T")[2], *answer.field("v").reshape(4, 2)[2]]
    told = [found[name][-1] for name in ("T_2", "v_3_1", "v_3_2")]
    np.testing.assert_allclose(told, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    np.testing.assert_allclose(found["T_2_std"][-1], answer.std("T")[2], rtol=1e-5)
    refused = {"T=9": "no unknown at node 9", "v=0": "no unknown at node 0", "p=1": "fields: T, v"}
    for words, message in refused.items():
        assert message in rom_here("export", "gp.h5", "--out", "b.fmu", "--at", words, code=2)
    assert "say which" in rom_here("export", "gp.h5", "--out", "b.fmu", code=2)
