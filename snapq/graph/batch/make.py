"""Makes a model of one sample one of several, and checks that each comes out as if alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.graph.batch import layers, movement, pointwise
from snapq.graph.batch.place import Batch, NoBatchError, Place, Rule, Search, Shape
from snapq.graph.batch.repeat import repeat_operands
from snapq.graph.edit import Editor, remove_unused_constants
from snapq.graph.inference import infer_shapes
from snapq.graph.shapes import graph_inputs, input_specs, static_shape

__all__ = ["batched", "check_same"]

Array = np.ndarray[Any, np.dtype[Any]]

RULES: Mapping[str, Rule] = {**pointwise.RULES, **movement.RULES, **layers.RULES}
_DOMAINS = ("", "ai.onnx", "com.microsoft")
_MOST_WAYS = 1000
"""Ways through the graph that are tried; each wrong turn shows within a few nodes."""
_HINT = (
    "Leave `batch` out, or export the model so that samples lie along the first axis throughout."
)


def batched(model: ir.Model, size: int) -> ir.Model:
    """The model for `size` samples at once, along the first axis of every input and output.

    1. Every input takes one sample, `[1, …]`; the samples of a batch are followed from there.
    2. Shapes that are written down (Reshape, Expand, Resize) are those of the batch.
    3. Constants that meet samples element by element (a class token in front of the patches) are
       there for each sample, in the same encoding.
    4. Every encoding stays.

    Args:
        model: of one sample, with fixed shapes; left as it is.
        size: samples at once.

    Raises:
        ModelError: an input or output has no axis of one sample in front, or a node cannot take
            several; it is named, with the reason.
    """
    made = model.clone()
    if size == 1:
        return made
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(made)
    infer_shapes(made)
    shapes = _shapes(made)
    batch = _followed(made, shapes, size)
    edit = Editor(made.graph)
    nodes = tuple(made.graph)
    try:
        repeat_operands(made.graph, batch, size)
    except NoBatchError as error:
        raise _refusal(error, size) from None
    for node in nodes:
        rule = RULES.get(node.op_type)
        if rule is not None and rule.change is not None and _differs(node, batch):
            rule.change(node, batch, edit, size)
    for value, place in batch.places.items():
        value.shape = ir.Shape(place.grown(shapes[value], size))
    infer_shapes(made)
    remove_unused_constants(made.graph)
    return made


def check_same(
    one: ir.Model, several: ir.Model, size: int, feeds: Sequence[Mapping[str, Array]]
) -> None:
    """Runs both models on the CPU and compares sample by sample.

    Args:
        one: the model of one sample.
        several: what `batched` made of it.
        size: samples at once.
        feeds: of single samples; `size` of them are taken, in turn where there are fewer.

    Raises:
        ModelError: an output of a sample is another one in the batch.
    """
    taken = [feeds[number % len(feeds)] for number in range(size)]
    alone, together = CpuModel(one, optimize=False), CpuModel(several, optimize=False)
    joined = {name: np.concatenate([feed[name] for feed in taken]) for name in taken[0]}
    found = together.run(joined)
    for number, feed in enumerate(taken):
        for name, wanted in alone.run(feed).items():
            part = np.split(found[name], size)[number]
            if part.shape != wanted.shape or not _near(wanted, part):
                raise ModelError(
                    f"In a batch of {size} the output '{name}' of a sample is another one than of "
                    "the sample alone.",
                    where="stages.package.batch",
                    hint="Leave `batch` out, and please report the model.",
                )


def _near(wanted: Array, found: Array) -> bool:
    """Equal up to the order in which float sums are added, which hangs on the shape."""
    if wanted.dtype.kind not in "fiu":
        return bool(np.array_equal(wanted, found))
    first, second = (values.astype(np.float64) for values in (wanted, found))
    odd = ~np.isfinite(first)
    if not np.array_equal(odd, ~np.isfinite(second)):
        return False
    gap = np.abs(first - second)[~odd]
    span = np.abs(first[~odd]).max(initial=0.0)
    codes = wanted.dtype.kind in "iu"
    return bool((gap > (1 if codes else 1e-3 * span)).mean() <= 0.001) if gap.size else True


def _shapes(model: ir.Model) -> dict[ir.Value, Shape]:
    """Shapes of one sample of all values of the graph that are known."""
    values = [*model.graph.inputs, *model.graph.initializers.values()]
    values += [output for node in model.graph for output in node.outputs]
    return {value: shape for value in values if (shape := static_shape(value)) is not None}


def _followed(model: ir.Model, shapes: Mapping[ir.Value, Shape], size: int) -> Batch:
    """Where the samples lie in every value, by the first way that reaches all outputs."""
    for spec in input_specs(model):
        if spec.shape[:1] != (1,):
            raise ModelError(
                f"There are no batches of this model: its input '{spec.name}' "
                f"{list(spec.shape)} has no axis of one sample in front.",
                where="stages.package.batch",
                hint="Give it a shape with 1 in front (`model.inputs`), or leave `batch` out.",
            )
    search, furthest = Search(), (-1, NoBatchError(None, ""))
    for _ in range(_MOST_WAYS):
        batch = Batch(shapes, search)
        try:
            _follow(model, batch)
        except NoBatchError as error:
            if len(batch.places) > furthest[0]:
                furthest = len(batch.places), error
            if not search.next():
                break
        else:
            return batch
    raise _refusal(furthest[1], size)


def _refusal(error: NoBatchError, size: int) -> ModelError:
    named = "" if error.node is None else f"{error.node.op_type} '{error.node.name}' "
    return ModelError(
        f"The model cannot take batches of {size}: {named}{error.why}.",
        where="stages.package.batch",
        hint=_HINT,
    )


def _follow(model: ir.Model, batch: Batch) -> None:
    for value in graph_inputs(model):
        batch.places[value] = Place(0)
    for node in model.graph:
        if not _differs(node, batch):
            continue
        rule = RULES.get(node.op_type) if node.domain in _DOMAINS else None
        if rule is None:
            raise NoBatchError(node, "is an operator that is not known to keep samples apart")
        rule.follow(node, batch)
    for output in model.graph.outputs:
        if batch.place(output) is None:
            raise NoBatchError(None, f"the output '{output.name}' is the same for all samples")
        if batch.places[output] != Place(0):
            raise NoBatchError(
                output.producer(), f"gives '{output.name}' with samples along another axis"
            )


def _differs(node: ir.Node, batch: Batch) -> bool:
    return any(value in batch.places for value in node.inputs if value is not None)
