"""Einsum, written out for the NPU: equations of all kinds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.graph.models import prepared_from

SMALL = {"h": 3, "w": 2, "n": 2, "b": 2}
"""Sizes of indices; the others are 4, 5, 6 and so on by their letter."""

EQUATIONS = (
    "bqc,bchw->bqhw",
    "bqnc,bnchw->bqnhw",
    "bhid,bhjd->bhij",
    "bhij,bhjd->bhid",
    "bhid,bhjd->bhji",
    "nlhd,nshd->nlsh",
    "nlsh,nshd->nlhd",
    "nchw,vw->nchv",
    "ncvl,vw->ncwl",
    "bhwc,hkc->bhwk",
    "ibnd,jbnd->bnij",
    "bnij,jbnd->ibnd",
    "ibh,hnd->ibnd",
    "cd,abc->dab",
    "abcde,fe->abcdf",
    "abcd,abce->abde",
    "abcij,abcjk->abcik",
    "abcdef,f->abcde",
    "btd,d->bt",
    "bd,bd->b",
    "bd,bd->bd",
    "i,i->",
    "i,j->ij",
    "ij,kl->ijkl",
    "ij,jk",
    "i j , j k -> k i",
    "ij->ji",
    "ij->",
    "ijk->ik",
    "ijk,jl->il",
    "ij,jk,kl->il",
    "ij,ik,il->jkl",
    "abc,ad,bd,cd->d",
)
ELLIPSES = (
    ("...ij,...jk->...ik", (2, 3, 5, 6), (2, 3, 6, 7)),
    ("...ij,...jk", (1, 3, 5, 6), (2, 3, 6, 7)),
    ("b...c,cd->b...d", (2, 3, 4, 5), (5, 6)),
    ("...,...->...", (2, 3), (1, 3)),
    ("i...->...", (4, 2, 3)),
)
ONES = (
    ("bij,bjk->bik", (1, 5, 6), (3, 6, 7)),
    ("bij,bjk->bik", (3, 5, 1), (3, 6, 7)),
    ("bij,bij->b", (1, 1, 1), (1, 1, 1)),
)


def sized(equation: str) -> tuple[tuple[int, ...], ...]:
    """Shapes of the operands."""
    letters = sorted(set(equation) - set(",-> ") - set(SMALL))
    sizes = SMALL | {letter: 4 + place for place, letter in enumerate(letters)}
    given = equation.replace(" ", "").split("->")[0]
    return tuple(tuple(sizes[index] for index in part) for part in given.split(","))


def check(equation: str, shapes: Sequence[tuple[int, ...]], names: Sequence[str]) -> None:
    """Asserts that no Einsum is left, and that the results are the same."""
    zeros = [np.zeros(shape, np.float32) for shape in shapes]
    out = np.einsum(equation.replace(" ", ""), *zeros).shape
    inputs = ", ".join(
        f"float[{','.join(map(str, shape))}] {name}"
        for shape, name in zip(shapes, names, strict=True)
    )
    prepared, operators = prepared_from(
        f"""({inputs}) => (float[{",".join(map(str, out))}] y) {{
            y = Einsum <equation = "{equation}"> ({", ".join(names)}) }}"""
    )
    assert "lower_einsum" in prepared.applied
    assert "Einsum" not in operators


@pytest.mark.parametrize("equation", EQUATIONS)
def test_an_equation_of_inputs(equation: str) -> None:
    shapes = sized(equation)
    check(equation, shapes, [f"x{place}" for place, _ in enumerate(shapes)])


@pytest.mark.parametrize("equation", [item for item in EQUATIONS if item.count(",") == 1])
@pytest.mark.parametrize("names", [("x", "w"), ("w", "x")])
def test_an_equation_with_a_constant(equation: str, names: tuple[str, str]) -> None:
    check(equation, sized(equation), names)


@pytest.mark.parametrize(("equation", "shapes"), [(item[0], item[1:]) for item in ELLIPSES + ONES])
def test_dimensions_that_are_not_named_or_repeated(
    equation: str, shapes: tuple[tuple[int, ...], ...]
) -> None:
    check(equation, shapes, [f"x{place}" for place, _ in enumerate(shapes)])


def test_a_diagonal_is_left_alone_with_the_reason() -> None:
    prepared, operators = prepared_from(
        '(float[3,3] x) => (float[3] y) { y = Einsum <equation = "ii->i"> (x) }'
    )
    assert operators == ["Einsum"]
    assert [item.pass_name for item in prepared.skipped] == ["lower_einsum"]
