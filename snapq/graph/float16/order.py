"""The passes for fp16 in the order in which a node meets them, and why each stands where it does.

Each looks at nodes of its own, and none at what another adds. To add one, add a file and a line.
"""

from __future__ import annotations

from types import ModuleType

from snapq.graph.float16 import (
    add_constant_first,
    expand_softplus,
    limit_exponents,
    scale_norms,
    shift_exponents,
)

__all__ = ["ORDER"]

ORDER: tuple[tuple[ModuleType, str], ...] = (
    (add_constant_first, "looks at Add, as no other does"),
    (limit_exponents, "looks at Exp, as no other does"),
    (expand_softplus, "writes its own Exp with the limits"),
    (shift_exponents, "likewise"),
    (scale_norms, "looks at ReduceL2, as no other does"),
)
"""Modules with `OPERATORS` and `apply`, as those of `snapq.graph.passes`."""
