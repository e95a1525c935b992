"""The passes of a plan in the order in which they run, and why each stands where it does.

To add a special case, add a file to `passes/` with a function of this signature, and a line here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from snapq.quantization.encodings import Encoding
from snapq.quantization.qdq.decisions import Decision
from snapq.quantization.qdq.passes.absorb_clamps import absorb_clamps
from snapq.quantization.qdq.passes.choose_types import choose_types
from snapq.quantization.qdq.passes.convert_inputs import convert_inputs
from snapq.quantization.qdq.passes.correct_wide_biases import correct_wide_biases
from snapq.quantization.qdq.passes.cut_saturated import cut_saturated
from snapq.quantization.qdq.passes.drop_nan_tests import drop_nan_tests
from snapq.quantization.qdq.passes.encode import encode
from snapq.quantization.qdq.passes.expect_masks import expect_masks
from snapq.quantization.qdq.passes.follow_types import follow_types
from snapq.quantization.qdq.passes.group_tensors import group_tensors
from snapq.quantization.qdq.passes.leave_headroom import leave_headroom
from snapq.quantization.qdq.passes.limit_summands import limit_summands
from snapq.quantization.qdq.passes.mark_floats import mark_floats
from snapq.quantization.qdq.passes.measure_ranges import measure_ranges
from snapq.quantization.qdq.passes.raise_masked import raise_masked
from snapq.quantization.qdq.passes.requantize_gates import requantize_gates
from snapq.quantization.qdq.passes.separate_fixed import separate_fixed
from snapq.quantization.qdq.passes.store_weights import store_weights
from snapq.quantization.qdq.passes.tie_clamped import tie_clamped
from snapq.quantization.qdq.passes.tie_joined import tie_joined
from snapq.quantization.qdq.passes.tie_moved import tie_moved
from snapq.quantization.qdq.passes.widen_scores import widen_scores
from snapq.quantization.qdq.passes.write_notes import write_notes
from snapq.quantization.qdq.plan import PlanPass, QdqPlan
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["BEFORE_SAMPLES", "MEASURED", "ON_RANGES", "TYPES", "decide", "planned"]

Order = tuple[tuple[PlanPass, str], ...]

TYPES: Order = (
    (choose_types, "first: all others ask which nodes compute in integers"),
    (follow_types, "behind all decisions on nodes that compute, as it follows these"),
)
BEFORE_SAMPLES: Order = (
    *TYPES,
    (mark_floats, "once types are final"),
    (group_tensors, "needs the types; what is known of an encoding spares watching the tensor"),
    (separate_fixed, "needs the known encodings; behind ties they would hold for all that is tied"),
    (tie_moved, "before clamps, which are tied back through data movement"),
    (tie_clamped, "the last tie that needs no ranges: what is tied is not watched"),
)
"""Decides which tensors calibration has to watch."""
MEASURED: Order = (
    (measure_ranges, "first: all others change ranges"),
    (expect_masks, "at once behind what was seen, which it adds to"),
    (leave_headroom, "before cuts, so that what no reader sees has no room either"),
    (cut_saturated, "before masks, which are measured against the range of the other summand"),
    (raise_masked, "before ties by range: a mask must not keep logits apart from others"),
    (widen_scores, "behind all that narrows scores"),
)
"""Finds the ranges."""
ON_RANGES: Order = (
    *MEASURED,
    (tie_joined, "compares the final ranges of its inputs"),
    (drop_nan_tests, "the last tie; what it takes out needs no encoding"),
    (encode, "behind all ties"),
    (convert_inputs, "needs how tensors are held"),
    (limit_summands, "narrows what the pass before chose for constants"),
    (requantize_gates, "behind the passes that say how nodes read what they read"),
    (absorb_clamps, "needs the encodings; takes nodes out, so nothing that names nodes is behind"),
    (store_weights, "needs in which encoding a layer reads its data, for the bias"),
    (correct_wide_biases, "needs the integers of the weight"),
    (write_notes, "last: tells of the nodes that are left"),
)
"""Makes of ranges what can be written."""


def planned(order: Sequence[tuple[PlanPass, str]], plan: QdqPlan) -> QdqPlan:
    """The plan after some passes."""
    for step, _ in order:
        plan = step(plan)
    return plan


def decide(
    model: ir.Model, scheme: Scheme, imposed: Mapping[str, Encoding]
) -> Mapping[ir.Node, Decision]:
    """What happens to each node of a model's main graph."""
    return planned(TYPES, QdqPlan(model, scheme, imposed)).decisions
