"""ONE table: what each ONNX operator is, and what the NPU takes of it.

A pass, the quantizer, lint, pruning or training that means a *class* of operators asks for its
trait or family; it names operators only where it has something to do with just these. To add an
operator, give it a row in the file of its family.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.operators import elementwise, layers, movement, normalization, reduction, structure
from snapq.operators.spec import MAX_RANK, NEVER, Encodings, Family, OpSpec, Role, Trait, lacking

__all__ = [
    "MAX_RANK",
    "NEVER",
    "TABLE",
    "Encodings",
    "Family",
    "OpSpec",
    "Role",
    "Trait",
    "clamps",
    "having",
    "in_families",
    "quantized",
    "spec",
    "spec_of",
    "weight_axes",
]

TABLE: dict[str, OpSpec] = {
    **layers.SPECS,
    **elementwise.SPECS,
    **movement.SPECS,
    **normalization.SPECS,
    **reduction.SPECS,
    **structure.SPECS,
}
_UNKNOWN = OpSpec(Family.UNKNOWN, (), npu=lacking())
_DOMAINS = ("", "ai.onnx", "com.microsoft")


def spec(op_type: str) -> OpSpec:
    """The row of an operator; one of `Family.UNKNOWN` without traits for those in no row."""
    return TABLE.get(op_type, _UNKNOWN)


def spec_of(node: ir.Node) -> OpSpec:
    """The row of a node's operator, which is unknown in a domain of somebody's own."""
    return spec(node.op_type) if node.domain in _DOMAINS else _UNKNOWN


def quantized(node: ir.Node) -> OpSpec | None:
    """The row of a node that the NPU has in integers; None for any other."""
    found = spec(node.op_type) if node.domain in ("", "ai.onnx") else _UNKNOWN
    return found if found.encodings is not None else None


def clamps(node: ir.Node) -> bool:
    """Whether saturation can do a node's work."""
    return spec(node.op_type).encodings is Encodings.CLAMPED


def having(*traits: Trait, role: Role | None = None) -> tuple[str, ...]:
    """The operators that have all of these traits, and such an input, in the table's order."""
    return tuple(
        name
        for name, row in TABLE.items()
        if row.has(*traits) and (role is None or role in row.roles)
    )


def in_families(*families: Family) -> tuple[str, ...]:
    """The operators of these families, in the table's order."""
    return tuple(name for name, row in TABLE.items() if row.family in families)


def weight_axes(node: ir.Node, rank: int) -> tuple[int, int] | None:
    """The axes of output and of input channels in a layer's weight, as it has no groups.

    Args:
        node: any node.
        rank: dimensions of its second input.

    Returns:
        `(0, 1)` for a Conv, `(1, 0)` for a ConvTranspose, either for a Gemm by `transB`, the last
        two for a MatMul; None for anything else, and for a vector.
    """
    axis = spec_of(node).weight_axis
    if axis is None or rank < 2:
        return None
    if axis < 0:
        return rank - 1, rank - 2
    if node.attributes.get_int("transB", 0):
        axis = 1 - axis
    return axis, 1 - axis
