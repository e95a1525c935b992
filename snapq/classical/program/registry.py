"""The table of steps: what the name of an operation computes.

A module of `steps/` adds its functions with `@operation("name")`; one that is listed in
`steps/__init__.py` is found by every program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Union

from .step import Array, Step

Function = Callable[..., Union[Array, "tuple[Array, ...]"]]
"""Takes the step, then the arrays of its inputs (None for one that is left out)."""

_FUNCTIONS: dict[str, Function] = {}


def operation(*names: str) -> Callable[[Function], Function]:
    """Enters a function into the table, under one or several names."""

    def enter(function: Function) -> Function:
        for name in names:
            if name in _FUNCTIONS:
                raise ValueError(f"there are two operations '{name}'")
            _FUNCTIONS[name] = function
        return function

    return enter


def known_operations() -> frozenset[str]:
    """Names of all operations."""
    return frozenset(_FUNCTIONS)


def compute(step: Step, values: list[Array | None]) -> tuple[Array, ...]:
    """Computes one step.

    Args:
        step: the step.
        values: the arrays of its inputs, None for one that is left out.

    Returns:
        The arrays of its outputs, in their order.

    Raises:
        ValueError: the operation is not in the table.
    """
    if step.op not in _FUNCTIONS:
        raise ValueError(f"the operation '{step.op}' is not known to this version")
    found = _FUNCTIONS[step.op](step, *values)
    return found if isinstance(found, tuple) else (found,)
