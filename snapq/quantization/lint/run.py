"""Checks any Q/DQ model, whoever made it, against the provider's rules for node units.

A node unit is an operator with a DequantizeLinear on each data input and a QuantizeLinear on each
output. Where a unit is incomplete or illegal, the provider runs the operator in float or leaves it
to the CPU, and the model may be slower than the float model that it came from.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.quantization.lint.checks import parameters, units, versions
from snapq.quantization.lint.checks.base import Check, Finding, View

__all__ = ["Finding", "lint"]

_CHECKS: tuple[Check, ...] = (*units.CHECKS, *parameters.CHECKS, *versions.CHECKS)


def lint(model: ir.Model, architecture: int) -> tuple[Finding, ...]:
    """Finds what breaks the rules of a Hexagon version (73 for v73), in graph order."""
    view = View(model, architecture)
    return tuple(found for node in model.graph for check in _CHECKS for found in check(view, node))
