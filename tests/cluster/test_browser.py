"""Pages of models in headless Chromium, from Debian's packages."""

import base64
import html
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.image import imread

import rom
from rom.deploy import write_page
from tests.pages import certified, check_answers, process, tell

pytestmark = pytest.mark.cluster
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--use-gl=angle",
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--window-size=1400,900",
    "--virtual-time-budget=8000", "--dump-dom",
)  # fmt: skip
PIXELS = """
const nodes = [...Array(count).keys()], at = nodes.map((i) => toScreen(i).slice(0, 2));
document.body.dataset.told = JSON.stringify({ told, at, values: [...state.values],
  low: state.low, high: state.high, size: [stage.clientWidth, stage.clientHeight],
  picture: stage.toDataURL("image/png") });
"""


def told_by_chromium(path, mus):
    """What a page writes into its body with a script after its own."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    asking = path.with_name(f"asking-{path.name}")
    asking.write_text(f"{path.read_text()}<script>{tell(path, mus)}{PIXELS}</script>")
    run = subprocess.run(
        [program, *FLAGS, asking.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(html.unescape(re.search(r'data-told="(.*?)"', run.stdout)[1]))


@pytest.mark.parametrize("kind", [certified, lambda: process("matern52")])
def test_a_page_answers_and_draws_in_a_browser(kind, tmp_path):
    model, mesh = kind()
    mus = rom.latin_hypercube(model.asks.box, 30)
    told = told_by_chromium(write_page(tmp_path / "page.html", model, mesh), mus)
    check_answers(model, mus, told["told"])
    picture = imread(io.BytesIO(base64.b64decode(told["picture"].partition(",")[2])))[..., :3]
    scale = np.array(told["size"]) / picture.shape[1::-1]
    shares = (np.array(told["values"]) - told["low"]) / (told["high"] - told["low"])
    middle = np.array(told["at"]).mean(axis=0)
    gaps = []
    for place, share in zip(told["at"], shares, strict=True):
        inward = np.array(place) + 2 * np.sign(middle - np.array(place))
        x, y = (inward / scale).astype(int)
        gaps.append(np.abs(picture[y, x] - colormaps["viridis"](share)[:3]).max())
    assert np.median(gaps) < 0.03 and max(gaps) < 0.2
