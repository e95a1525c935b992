"""Divides a classical model: what the host computes in front of the NPU's part, and behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from snapq.classical.lowered import Lowered
from snapq.classical.model import ClassicalModel, Estimator
from snapq.classical.on_host import estimator_steps
from snapq.classical.program import Program, Step

__all__ = ["Division", "for_npu", "host_steps", "input_names", "program", "programs"]


@dataclass(frozen=True)
class Division:
    """Which estimators of a model go onto the NPU.

    Attributes:
        npu: those whose rows the host makes of the model's inputs alone.
        cpu: those that read what another one gives; the tail computes them.
    """

    npu: tuple[Estimator, ...]
    cpu: tuple[Estimator, ...]


def for_npu(model: ClassicalModel) -> Division:
    """Divides the estimators of a model."""
    behind: set[str] = set()
    npu: list[Estimator] = []
    cpu: list[Estimator] = []
    for item in model.items:
        if isinstance(item, Estimator):
            (cpu if item.rows in behind else npu).append(item)
            behind.add(item.sums)
        elif behind & set(item.inputs):
            behind |= set(item.outputs)
    return Division(tuple(npu), tuple(cpu))


def programs(
    model: ClassicalModel, chosen: Sequence[Estimator], lowered: Lowered
) -> tuple[Program, Program]:
    """Head and tail of a model around what the chosen estimators became.

    A step that both need is in both: nothing but the model's own inputs goes round the NPU.
    """
    inputs, steps = input_names(model), host_steps(model, chosen)
    return (
        program((*steps, *lowered.encode), inputs, lowered.inputs),
        program((*lowered.decode, *steps), (*inputs, *lowered.outputs), model.outputs),
    )


def input_names(model: ClassicalModel) -> tuple[str, ...]:
    """Names of the model's inputs."""
    return tuple(port.name for port in model.inputs)


def host_steps(model: ClassicalModel, chosen: Sequence[Estimator]) -> tuple[Step, ...]:
    """All steps of a model, those of the estimators that are not chosen among them."""
    on_npu = {one.sums for one in chosen}
    steps: list[Step] = []
    for item in model.items:
        if not isinstance(item, Estimator):
            steps.append(item)
        elif item.sums not in on_npu:
            steps += estimator_steps(item)
    return tuple(steps)


def program(steps: Sequence[Step], given: Sequence[str], outputs: Sequence[str]) -> Program:
    """The steps that make outputs of what is given, and no others, in an order that works."""
    maker = {name: step for step in steps for name in step.outputs if name not in given}
    kept: dict[int, Step] = {}
    read = set(outputs)
    waiting = [maker[name] for name in reversed(outputs) if name in maker]
    while waiting:
        step = waiting[-1]
        needed = [maker[name] for name in step.inputs if name in maker]
        missing = [one for one in needed if id(one) not in kept]
        if missing and id(step) not in kept:
            waiting += missing
            continue
        kept[id(waiting.pop())] = step
        read |= set(step.inputs)
    return Program(
        tuple(name for name in given if name in read), tuple(outputs), tuple(kept.values())
    )
