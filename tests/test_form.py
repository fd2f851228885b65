"""The bars of the form: words and density of rom/, as `make metrics` prints them."""

from pathlib import Path

import pytest

from tests.metrics import BARS, ROOT, count, journeys


@pytest.fixture(scope="module")
def ours():
    return count(ROOT / "rom")


@pytest.mark.parametrize("kind", BARS)
def test_a_bar_holds(ours, kind):
    assert ours.figures[kind] <= BARS[kind], ours.places[kind][:20]


def test_the_count_sees_what_it_counts(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "__init__.py").write_text("")
    (tmp_path / "p" / "a.py").write_text(
        '"""A."""\nfrom p.b import taken_too\n\n\ndef moved(a, b, c, d, e, f):\n    found = a\n'
    )
    (tmp_path / "p" / "b.py").write_text(
        f'"""{"B" * 81}"""\nfrom p.a import moved\n\n\ndef moved():\n    """M."""  # {"x" * 100}\n'
    )
    figures = count(Path(tmp_path / "p")).figures
    assert figures["participles %"] == 100.0 and figures["undocumented %"] == 50.0
    for kind in ("names with two homes", "filler locals", "over 5 positional", "lines over 100"):
        assert figures[kind] == 1, kind
    assert figures["first docstring lines over 80"] == 1
    assert figures["files in import cycles"] == 2


@pytest.mark.parametrize("name", ["collect, 16 runs", "shapes, 12 samples", "one reduced step"])
def test_a_journey_stays_short(name):
    number, bar = journeys()[name]
    assert 0 < number <= bar
