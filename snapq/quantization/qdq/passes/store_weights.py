"""Chooses how weights, scales and biases of nodes are held: constants that a node has to itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.operators import Role
from snapq.quantization.encodings import Encoding, dequantize
from snapq.quantization.qdq.block_scales import in_steps, takes_blocks
from snapq.quantization.qdq.decisions import Decision, array, constant, is_depthwise
from snapq.quantization.qdq.parameters import (
    Tuned,
    bias_encoding,
    close_scales,
    gemm_scaled,
    may_overflow,
    raise_for_bias,
    takes,
    weight_encoding,
    whole_range,
)
from snapq.quantization.qdq.plan import QdqPlan, Stored

__all__ = ["store_weights"]


def store_weights(plan: QdqPlan) -> QdqPlan:
    """Weights as tuned, imposed, or by the rule; biases at the scale at which the NPU adds them.

    Alpha and beta of a Gemm go into its constants.
    """
    stored = {}
    for node, decision in plan.decisions.items():
        found = _stored(plan, node, decision)
        if found:
            stored[node] = found
    return replace(plan, stored=stored)


def _stored(plan: QdqPlan, node: ir.Node, decision: Decision) -> dict[int, Stored]:
    rule, data_type = decision.rule, decision.dtype
    if rule is None or data_type is None:
        return {}
    roles = {rule.role(i): i for i, v in enumerate(node.inputs) if v is not None}
    index = roles.get(Role.WEIGHT, roles.get(Role.SCALE))
    value = node.inputs[index] if index is not None else None
    if index is None or value is None:
        return {}
    if constant(value) is None:
        return _bias_alone(plan, node, roles)
    weight = array(value)
    bias_index = roles.get(Role.BIAS)
    bias_value = node.inputs[bias_index] if bias_index is not None else None
    bias = array(bias_value) if bias_value is not None else None
    if node.op_type == "Gemm":
        weight, bias = gemm_scaled(node, weight, bias)
        node.attributes.pop("alpha", None)
        node.attributes.pop("beta", None)
    tuned = plan.tuned.get(str(node.name))
    encoding = given = tuned.encoding if tuned else plan.imposed.get(str(value.name))
    if encoding is None or not _fits(encoding, node, decision, weight.shape):
        encoding = weight_encoding(
            weight, decision.weights, decision.granularity, data_type, decision.scales_apart
        )
    own = encoding is not given
    # What is found here uses the whole range of a signed type, and channels of zeros may stay.
    if (
        not tuned
        and data_type.bits > 8
        and Role.WEIGHT in roles
        and not (own and encoding.dtype.signed)
    ):
        encoding = whole_range(weight, encoding)
    if not tuned and data_type.bits > 8 and is_depthwise(node) and _overflows(node, weight):
        encoding = close_scales(encoding)
    if tuned and tuned.bias is not None and bias is not None:
        bias = tuned.bias
    read = plan.read(node, 0)
    if bias is None or bias_index is None or read is None:
        return {index: Stored(_rounded(weight, encoding, tuned), encoding)}
    encoding = raise_for_bias(encoding, bias, read.scale)
    return {
        index: Stored(_rounded(weight, encoding, tuned), encoding),
        bias_index: Stored(bias, bias_encoding(encoding, read.scale)),
    }


def _overflows(node: ir.Node, weight: npt.NDArray[np.float32]) -> bool:
    """Whether a depthwise Conv has a kernel that needs `close_scales`."""
    return may_overflow(weight.shape[2:], node.attributes.get_ints("strides", (1,)))


def _bias_alone(plan: QdqPlan, node: ir.Node, roles: Mapping[Role, int]) -> dict[int, Stored]:
    """The bias of a node whose weight is computed: scales of both are known all the same."""
    index = roles.get(Role.BIAS)
    bias = node.inputs[index] if index is not None else None
    if index is None or bias is None:
        return {}
    data, weight = plan.read(node, 0), plan.read(node, 1)
    if data is None or weight is None:
        return {}
    return {index: Stored(array(bias), bias_encoding(weight, data.scale))}


def _fits(encoding: Encoding, node: ir.Node, decision: Decision, shape: tuple[int, ...]) -> bool:
    """Whether the NPU takes a node's weight in an encoding that was found or given for it."""
    if not encoding.block:
        return takes(encoding, decision.weights, decision.granularity, shape)
    wide = decision.dtype is not None and decision.dtype.bits > 8
    held = encoding.dtype is decision.weights and in_steps(encoding) is not None
    return wide and held and takes_blocks(node, encoding.block)


def _rounded(
    weight: npt.NDArray[np.float32], encoding: Encoding, tuned: Tuned | None
) -> npt.NDArray[np.float32]:
    """The weight as it shall be stored: as tuned, where its encoding did not have to change."""
    if tuned is None or tuned.encoding != encoding:
        return weight
    return dequantize(tuned.integers, encoding)
