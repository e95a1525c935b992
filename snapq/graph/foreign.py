"""The boundary around models that are not ours: what they raise becomes one sentence.

1. What reads and converts such a model runs in a process of its own with limits on memory and
   time (`guarded`): libraries in C++ end by a signal or ask for terabytes.
2. Whatever else is raised on the way becomes a `ModelError` that names the node (`explaining`),
   with the reason of ONNX Runtime or of ONNX's checker where one of them refuses the model.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
import onnx
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.errors import ModelError, SnapqError
from snapq.graph import io, shapes
from snapq.graph.culprit import find_culprit, named
from snapq.graph.folding import take_known_branches
from snapq.graph.inference import infer_shapes
from snapq.graph.shapes import InputShapes, graph_inputs, input_specs, static_shape
from snapq.limits import Limits, limits_for
from snapq.operators import Family, in_families
from snapq.scratch import Scratch
from snapq.workers import forked
from snapq.workers.forked import EndedError, Ending

__all__ = [
    "explaining",
    "freeze",
    "guarded",
    "is_doubtful",
    "limits_of",
    "try_out",
    "try_out_model",
]

T = TypeVar("T")

_LONGEST = 300
"""Characters of what a library says of a model."""
_REPORT = (
    "If other tools run the model, this is a gap in snapq: please report it with the model, or cut "
    "the node out."
)
_AT = "@"
"""What a note begins with that names a node, and not what is done."""
_OURS = tuple(
    f"{os.sep}snapq{os.sep}{name}"
    for name in (
        *("graph", "operators", "quantization", "pruning", "training", "npu", "stages"),
        *("evaluation", "classical", "llm", "cpu.py", "api"),
    )
)
"""Parts of snapq in which an unforeseen exception is the model's."""


class _UnforeseenError(Exception):
    """What code for graphs raised, with the node that it worked on: picklable."""

    def __init__(self, told: str, node: str | None, trace: str) -> None:
        super().__init__(told, node, trace)
        self.told, self.node, self.trace = told, node, trace


def limits_of(model: ir.Model) -> Limits:
    """The limits that a model of this size gets."""
    nodes = sum(1 for _ in _all_nodes(model))
    inputs = sum(_bytes(value) for value in graph_inputs(model))
    return limits_for(io.weight_bytes(model), nodes, inputs)


def _bytes(value: ir.Value) -> int:
    shape = static_shape(value)
    if shape is None or value.dtype is None:
        return 0
    with suppress(TypeError):  # strings have no size
        return max(0, prod(shape)) * value.dtype.bitwidth // 8
    return 0


def guarded(
    work: Callable[[], T],
    model: ir.Model,
    *,
    path: Path | None = None,
    inputs: InputShapes | None = None,
) -> T:
    """Does `work`, which reads or converts `model`, in a process of its own under limits.

    Args:
        work: returns something picklable, and writes files.
        model: what it works on; left as it is.
        path: the file of the model, for messages.
        inputs: shapes that the user gives.

    Raises:
        ModelError: what `work` raised, as one sentence; or the node at which a limit was reached
            or a library crashed.
    """

    def foreseen() -> T:
        try:
            return work()
        except (SnapqError, OSError):
            raise
        except BaseException as error:
            spent = not isinstance(error, Exception) or forked.out_of_memory(error)
            node = _node_of(error.__traceback__)
            if spent and node:
                forked.note(f"{_AT}{node}")
            if spent:
                raise
            raise _unforeseen(error) from error

    limits = limits_of(model)
    try:
        return forked.call(foreseen, limits)
    except EndedError as ended:
        raise _ended(ended, model, inputs or {}, limits, path) from None
    except _UnforeseenError as error:
        raise _explained(error, model, path) from error


def freeze(model: ir.Model, inputs: InputShapes, path: Path | None = None) -> ir.Model:
    """As `shapes.freeze`, of a model on which ONNX's inference may crash.

    Of an If that constants decide, such as an input that is given a number, only the branch that
    is taken stays: ONNX Runtime's optimizer, which does the same, crashes on some models there.

    Raises:
        ModelError: as `shapes.freeze`; or ONNX's inference crashes.
    """

    def frozen() -> ir.Model:
        found = shapes.freeze(model, inputs)
        if take_known_branches(found):
            infer_shapes(found)
        return found

    def try_freeze() -> None:
        forked.note("shapes are inferred")
        frozen()

    guarded(try_freeze, model, path=path, inputs=inputs)
    return frozen()


@contextmanager
def explaining(model: ir.Model | Path) -> Iterator[None]:
    """Turns whatever the block raises because of a model into a `ModelError`.

    What comes from elsewhere (the disk, a report, a board) stays as it is.
    """
    path = model if isinstance(model, Path) else None
    try:
        yield
    except ModelError as error:
        error.where = error.where or (str(path) if path else None)
        raise
    except (SnapqError, OSError):
        raise
    except Exception as error:
        if not _of_model(error.__traceback__):
            raise
        given = io.load(model) if isinstance(model, Path) else model
        if forked.out_of_memory(error):
            raise _ended(EndedError(Ending.MEMORY), given, {}, limits_of(given), path) from error
        raise _explained(_unforeseen(error), given, path) from error


def is_doubtful(model: ir.Model) -> bool:
    """Whether a run of the prepared model may take more than its shapes say, or crash.

    Networks of layers whose outputs have known shapes are not; loops, operators of other domains,
    and those that make tensors as large as a number says are.
    """
    size = 0
    for node in model.graph:
        if node.domain != "" or node.op_type not in _PLAIN:
            return True
        size += sum(_bytes(value) for value in node.outputs)
    return size > limits_of(model).memory // 2


_PLAIN = frozenset(
    {
        *in_families(Family.CONV, Family.GEMM, Family.POOLING, Family.NORMALIZATION),
        *("Abs", "Add", "Cast", "Clip", "Concat", "Elu", "Erf", "Exp", "Flatten", "Gather", "Gelu"),
        *("HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Mul", "Neg", "PRelu", "Pow"),
        *("ReduceMean", "ReduceSum", "ReduceMax", "Relu", "Reshape", "Sigmoid", "Slice", "Softmax"),
        *("Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze", "Where"),
    }
)
"""Operators that neither crash nor take more than their outputs' shapes say."""
_LOOPS = ("Loop", "Scan", "SequenceMap")


def try_out(file: Path, given: ir.Model, inputs: InputShapes) -> None:
    """Runs a prepared model once on ones, in a process of its own under limits.

    What ONNX Runtime only refuses is told where the model meets real samples.

    Args:
        file: the prepared model.
        given: the model that it was made of.
        inputs: shapes that the user gives.

    Raises:
        ModelError: the run takes too much memory, crashes a library, or does not end and has loops.
    """
    limits = limits_of(given)

    def run() -> None:
        feeds = {spec.name: np.ones(spec.shape, spec.dtype) for spec in input_specs(io.load(file))}
        forked.note("it runs")
        try:
            CpuModel(file).run(feeds)
        except ModelError as error:
            if forked.out_of_memory(error):
                raise MemoryError from error

    try:
        forked.call(run, limits)
    except EndedError as ended:
        loops = any(node.op_type in _LOOPS for node in _all_nodes(given))
        if ended.how is not Ending.TIME or loops:
            raise _ended(ended, given, inputs, limits, None) from None
    except SnapqError:
        return


def try_out_model(model: ir.Model) -> None:
    """As `try_out`, of a model in memory with fixed shapes of inputs. Raises `ModelError`."""
    with Scratch() as scratch:
        io.save(model, scratch.path / "model.onnx")
        try_out(scratch.path / "model.onnx", model, {})


def _all_nodes(model: ir.Model) -> Iterator[ir.Node]:
    yield from model.graph.all_nodes()
    for function in model.functions.values():
        yield from function.all_nodes()


def _of_model(trace: TracebackType | None) -> bool:
    """Whether the code that raised is code for models: the last of snapq's own that was called."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(trace)]
    own = [file for file in files if f"{os.sep}snapq{os.sep}" in file and file != __file__]
    return bool(own) and any(part in own[-1] for part in _OURS)


def _unforeseen(error: BaseException) -> _UnforeseenError:
    told = f"{type(error).__name__}: {_shortened(str(error))}".rstrip(": ")
    trace = "".join(traceback.format_exception(error))
    return _UnforeseenError(told, _node_of(error.__traceback__), trace)


def _node_of(trace: TracebackType | None) -> str | None:
    """The node that the innermost function at work had in its hands."""
    found = None
    for frame, _ in traceback.walk_tb(trace):
        for name in ("node", "consumer", "producer", "layer"):
            held = frame.f_locals.get(name)
            if isinstance(held, ir.Node):
                found = held
                break
    return named(found) if found is not None else None


def _explained(error: _UnforeseenError, model: ir.Model, path: Path | None) -> ModelError:
    """The sentence for what graph code did not foresee."""
    where = " ".join(filter(None, (f"{path}:" if path else None, error.node))).rstrip(":") or None
    limits = limits_for()
    reason: str | None = None
    with suppress(Exception):  # a model on which the checks end as well is explained enough
        reason = forked.call(lambda: _refusal(model), limits)
    if reason is not None:
        found = ModelError(reason, where=where, hint="Export the model again.")
    else:
        what = f"The model cannot be handled: {error.told}."
        found = ModelError(what, where=where, hint=_REPORT)
    found.add_note(error.trace)
    return found


def _refusal(model: ir.Model) -> str | None:
    """What ONNX Runtime or ONNX's checker has against a model; None where both take it."""
    try:
        CpuModel(model, optimize=False)
    except ModelError as refused:
        return _shortened(refused.what)
    if io.weight_bytes(model) < io.IN_MEMORY_LIMIT:
        try:
            onnx.checker.check_model(io.serialized(model))
        except Exception as error:
            return f"The model is not valid: {_shortened(str(error))}"
    return None


def _shortened(text: str) -> str:
    """The first line of what a library says, of a length that one reads."""
    line = (text.strip().splitlines() or [""])[0]
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _ended(
    ended: EndedError, model: ir.Model, inputs: InputShapes, limits: Limits, path: Path | None
) -> ModelError:
    """The sentence for work that was ended, with the node at which it was."""
    node: str | None
    if ended.at.startswith(_AT):
        node, doing = ended.at.removeprefix(_AT), ""
    else:
        node, doing = find_culprit(model, inputs, limits), f" while {ended.at}" if ended.at else ""
    where = ": ".join(filter(None, (str(path) if path else None, node))) or None
    if ended.how is Ending.MEMORY:
        return ModelError(
            f"The model takes too much memory{doing}.", where=where, hint=limits.memory_hint
        )
    if ended.how is Ending.TIME:
        return ModelError(
            f"The model takes more than {limits.seconds:.0f} s of processor time{doing}.",
            where=where,
            hint=limits.time_hint,
        )
    last = _shortened((ended.printed.strip().splitlines() or [""])[-1])
    said = f" It said: {last}" if last else ""
    return ModelError(
        f"A library crashed on the model{doing} ({ended.signal}).{said}",
        where=where,
        hint="The model is damaged, or sets off a fault of ONNX or ONNX Runtime: export it again, "
        "or leave out the node.",
    )
