"""The estimators of a model as one ordinary ONNX model for the NPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import onnx_ir as ir

from snapq.classical.division import for_npu, host_steps, input_names, program, programs
from snapq.classical.ensemble import Ensemble
from snapq.classical.host import Host
from snapq.classical.lowered import Lowered
from snapq.classical.program import Array
from snapq.errors import ModelError
from snapq.progress import Progress, Silent

if TYPE_CHECKING:
    from snapq.classical.model import ClassicalModel, Estimator
    from snapq.devices.profiles import DeviceProfile
    from snapq.npu.model import Memory

__all__ = ["Form", "Numbers", "OnNpu", "lower_model", "npu_estimators"]

Form = Literal["auto", "limbs", "ranks", "integers"]


@dataclass(frozen=True)
class Numbers:
    """What is known of the numbers of SVMs and linear models.

    Attributes:
        rows: some rows by input, `[N, columns]`, which say how large numbers are where the model
            itself does not.
        halves: whether weights get 8 bits beside activations of 16.
    """

    rows: Mapping[str, Array] | None = None
    halves: bool = False


@dataclass(frozen=True)
class OnNpu:
    """What the NPU computes of a classical model.

    Attributes:
        part: what the estimators became, and the host's steps around it.
        trees: whether these are trees, in exact integers.
        estimators: those that are in it.
        notes: sentences for the reader.
    """

    part: Lowered
    trees: bool
    estimators: tuple[Estimator, ...]
    notes: tuple[str, ...]

    def host(self, model: ClassicalModel) -> Host:
        """Head and tail around it, of the model that it was made of."""
        return Host(*programs(model, self.estimators, self.part))

    @property
    def model(self) -> ir.Model:
        """The model for the NPU, of a fixed number of rows."""
        return self.part.model


def npu_estimators(model: ClassicalModel) -> tuple[tuple[Estimator, ...], tuple[Estimator, ...]]:
    """The estimators that go onto the NPU together, and those that stay on the CPU.

    1. An estimator that reads what another one gives stays on the CPU.
    2. Of trees and others in one model, the trees go: exact integers and floats do not mix.

    Raises:
        ModelError: nothing can go onto the NPU.
    """
    divided = for_npu(model)
    trees = [one for one in divided.npu if isinstance(one.form, Ensemble)]
    chosen = trees or list(divided.npu)
    if not chosen:
        raise ModelError(
            "No tree ensemble, SVM or linear model of it reads the model's inputs alone, so that "
            "there is nothing for the NPU.",
            hint="Deploy it for the CPU.",
        )
    left = [one for one in model.estimators if all(one is not other for other in chosen)]
    return tuple(chosen), tuple(left)


def lower_model(
    model: ClassicalModel,
    batch: int,
    devices: Sequence[DeviceProfile],
    *,
    form: Form = "auto",
    exact: bool = True,
    numbers: Numbers | None = None,
    progress: Progress | None = None,
    memory: Memory | None = None,
) -> OnNpu:
    """Makes the part for the NPU.

    Args:
        model: the classical model.
        batch: rows that it takes at once.
        devices: whose estimates choose between forms of trees, and on whose simulators these are
            verified.
        form: how rows enter trees.
        exact: whether leaf values are kept to float32's precision.
        numbers: what is known of the numbers of SVMs and linear models.
        progress: progress reporter.
        memory: estimates that are known.

    Raises:
        ModelError: nothing can go onto the NPU, or an estimator cannot be lowered.
        QnnError: no form compiles.
    """
    chosen, left = npu_estimators(model)
    trees = isinstance(chosen[0].form, Ensemble)
    if trees:
        from snapq.classical.trees import lower as lower_trees

        part = lower_trees(
            chosen,
            batch,
            devices,
            form=form,
            exact=exact,
            progress=progress or Silent(),
            memory=memory,
        )
    else:
        from snapq.classical.lowering import lower as lower_float

        numbers = numbers or Numbers()
        given = _given(model, chosen, numbers.rows)
        parts = [
            lower_float(one, batch, given.get(one.rows), halves=numbers.halves) for one in chosen
        ]
        part = side_by_side(parts)
    return OnNpu(part, trees, chosen, (part.note, *model.notes, *_left_notes(model, left)))


def _given(
    model: ClassicalModel, chosen: Sequence[Estimator], rows: Mapping[str, Array] | None
) -> dict[str, Array]:
    """What estimators are given for rows of the model; nothing where there are none."""
    if rows is None:
        return {}
    names = tuple(dict.fromkeys(one.rows for one in chosen))
    return program(host_steps(model, chosen), input_names(model), names).run(rows)


def _left_notes(model: ClassicalModel, left: Sequence[Estimator]) -> Iterator[str]:
    if not left:
        return
    named = ", ".join(f"'{one.form.name}'" for one in left)
    verb = "stay" if len(left) > 1 else "stays"
    why = (
        "trees alone go onto the NPU here, in exact integers."
        if _aside(left, model)
        else "what it reads is made by another estimator."
    )
    yield f"{named} {verb} on the CPU, in the tail: {why}"


def _aside(left: Sequence[Estimator], model: ClassicalModel) -> bool:
    """Whether an estimator could have gone onto the NPU but for the trees."""
    return any(one is other for one in left for other in for_npu(model).npu)


def side_by_side(parts: Sequence[Lowered]) -> Lowered:
    """Several estimators as one model; names inside the later ones get a number in front.

    The names of inputs and outputs are distinct, and stay.
    """
    if len(parts) == 1:
        return parts[0]
    models = [one.model.clone() for one in parts]
    inputs = [value for model in models for value in model.graph.inputs]
    outputs = [value for model in models for value in model.graph.outputs]
    kept = {id(value) for value in (*inputs, *outputs)}
    nodes: list[ir.Node] = []
    constants: list[ir.Value] = []
    for number, model in enumerate(models):
        graph, own = model.graph, list(model.graph)
        for value in (*graph.initializers.values(), *(v for node in own for v in node.outputs)):
            if number and id(value) not in kept:
                value.name = f"{number}.{value.name}"
        for node in own:
            node.name = f"{number}.{node.name}" if number else node.name
        graph.remove(own)
        nodes += own
        constants += graph.initializers.values()
        graph.initializers.clear()
        graph.inputs.clear()
        graph.outputs.clear()
    opsets = {key: value for model in models for key, value in model.opset_imports.items()}
    joined = ir.Graph(inputs, outputs, nodes=nodes, initializers=constants, opset_imports=opsets)
    return Lowered(
        ir.Model(joined, ir_version=max(model.ir_version for model in models)),
        tuple(name for one in parts for name in one.inputs),
        tuple(name for one in parts for name in one.outputs),
        tuple(step for one in parts for step in one.encode),
        tuple(step for one in parts for step in one.decode),
        all(one.exact for one in parts),
        "; ".join(one.note for one in parts),
    )
