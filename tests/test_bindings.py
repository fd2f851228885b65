"""Cases of the page about other codes, where the package is at hand."""

import ast

import pytest

from tests.bindings import PAGE, block, study_numbers


@pytest.mark.parametrize("package", ["skfem", "ngsolve"])
def test_a_page_is_a_whole_case(package, tmp_path):
    pytest.importorskip(package)
    assert study_numbers(package, tmp_path)["max_rel_error"] < 0.02


def test_programs_take_at_most_eight_lines():
    for word in ("ccx", "icoFoam"):
        assert len(ast.parse(block(word)).body) <= 8
    for word in ("fmpy", "dolfinx"):
        compile(block(word), str(PAGE), "exec")
