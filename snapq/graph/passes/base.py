"""What a pass is: a name, when it runs, the operators it looks at, and the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import onnx_ir as ir

from snapq.graph.edit import Editor


class Phase(IntEnum):
    """When a rewrite runs: each phase goes on until nothing changes."""

    SIMPLIFY = 0
    """Removes, merges and puts into one canonical form."""
    FUSE = 1
    """Finds decomposed operators and makes one of them."""
    FOLD = 2
    """Moves constants into layers, which would hide the patterns that FUSE looks for."""
    LOWER = 3
    """Writes operators that the NPU lacks with those that it has."""


@dataclass(frozen=True)
class Rule:
    """When a rewrite runs, and which operators of the standard domain it looks at."""

    phase: Phase
    operators: tuple[str, ...]


@dataclass(frozen=True)
class Rewrite:
    """One entry of the table: a name for `skip`, one line for people, and the work."""

    name: str
    summary: str
    rule: Rule
    apply: Callable[[ir.Node, Editor], bool]
