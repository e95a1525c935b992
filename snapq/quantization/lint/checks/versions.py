"""Checks of operator versions and domains."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from snapq.quantization.lint.checks.base import DEQUANTIZE, QUANTIZE, Check, Finding, View

__all__ = ["CHECKS"]

_FIRST_16_BIT = 21
"""Opset whose Q and DQ take 16- and 4-bit integers; source: QuantizeLinear-21 of ONNX."""


def old_opset(view: View, node: ir.Node) -> Iterator[Finding]:
    """16- and 4-bit Q and DQ of the standard domain need opset 21."""
    if node.op_type not in (QUANTIZE, DEQUANTIZE) or node.domain not in ("", "ai.onnx"):
        return
    encoding = view.encoding(node)
    opset = view.model.opset_imports.get("", 0)
    if encoding is not None and encoding.dtype.bits in (4, 16) and opset < _FIRST_16_BIT:
        yield Finding(
            str(node.name),
            "old-opset",
            f"{encoding.dtype.value} needs opset {_FIRST_16_BIT}; the model has {opset}.",
            f"Bring the model to opset {_FIRST_16_BIT}.",
        )


def contrib_domain(view: View, node: ir.Node) -> Iterator[Finding]:
    """Q and DQ are of the standard domain."""
    if node.op_type in (QUANTIZE, DEQUANTIZE) and node.domain == "com.microsoft":
        yield Finding(
            str(node.name),
            "contrib-domain",
            "It is of the domain com.microsoft, which other tools do not know.",
            f"Bring the model to opset {_FIRST_16_BIT}, which has this in the standard domain.",
        )


CHECKS: tuple[Check, ...] = (old_opset, contrib_domain)
