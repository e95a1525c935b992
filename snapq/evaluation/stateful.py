"""Samples of models with state: what a step gives as its state, the next step takes.

The samples are steps of a sequence, in order. State inputs that a sample does not feed are zero at
the first step, and after it what the float model gave. While a quantized model is judged, its own
state goes round instead, see `in_sequence`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from snapq.config import DataSource
from snapq.cpu import CpuModel
from snapq.errors import ConfigError, did_you_mean
from snapq.evaluation.samples import Array, Dataset, Sample
from snapq.graph.shapes import TensorSpec, input_specs

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["in_sequence", "open_stateful", "with_state"]

Outputs = Mapping[str, Array]


def with_state(
    inner: Dataset,
    model: ir.Model,
    state: Mapping[str, str],
    steps: int | None = None,
    limit: int | None = None,
) -> Dataset:
    """Steps of sequences with the state that the float model has at each.

    Args:
        inner: the steps, without state.
        model: the float model, shapes frozen.
        state: output to the input that takes it at the next step.
        steps: length of a sequence; None where all samples are one.
        limit: use the first so many steps.
    """
    count = len(inner) if limit is None else min(limit, len(inner))

    def samples() -> Iterator[Sample]:
        specs = {spec.name: spec for spec in input_specs(model)}
        zeros = {name: np.zeros(specs[name].shape, specs[name].dtype) for name in state.values()}
        runnable = CpuModel(model)
        carried = zeros
        for index, sample in enumerate(islice(inner, count)):
            first = index == 0 if steps is None else index % steps == 0
            start = zeros if first else carried
            step = replace(sample, feeds={**start, **sample.feeds}, first=first)
            yield step
            found = runnable.run(step.feeds, list(state))
            carried = {state[name]: value for name, value in found.items()}

    def fingerprint() -> str:
        facts = (inner.fingerprint(), sorted(state.items()), steps, count)
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    length = f"sequences of {steps}" if steps else "one sequence"
    description = f"the first {count} steps of {inner.description}, {length}"
    return Dataset(samples, count, description, fingerprint, inner.random, state)


def in_sequence(
    samples: Iterable[Sample], state: Mapping[str, str], run: Callable[[Sample], Outputs]
) -> Iterator[Outputs]:
    """Runs samples one after the other, each with the state that the step before gave.

    `first` of a sample says where a sequence starts; `state` maps an output to the input that
    takes it at the next step.
    """
    carried: dict[str, Array] = {}
    for sample in samples:
        step = sample if sample.first else replace(sample, feeds={**sample.feeds, **carried})
        outputs = run(step)
        carried = {
            taker: np.asarray(outputs[giver], sample.feeds[taker].dtype)
            for giver, taker in state.items()
        }
        yield outputs


def open_stateful(
    source: DataSource,
    model: ir.Model,
    key: str,
    opened: Callable[[DataSource, tuple[TensorSpec, ...]], Dataset],
) -> Dataset:
    """Opens a source whose `state` says what goes round.

    Args:
        source: with `state`.
        model: the float model, shapes frozen.
        key: where the source is in the YAML, for messages.
        opened: opens a source for some inputs.

    Raises:
        ConfigError: a name in `state` is no output or input, or shape or type of the two differ.
        DataError: as `opened`.
    """
    assert source.state is not None
    inputs = {spec.name: spec for spec in input_specs(model)}
    # Asked of the runtime: the shape of an output may not follow from those of the inputs alone.
    empty = {name: np.zeros(spec.shape, spec.dtype) for name, spec in inputs.items()}
    outputs = CpuModel(model).run(empty)
    for giver, taker in source.state.items():
        for name, known, kind in ((giver, outputs, "output"), (taker, inputs, "input")):
            if name not in known:
                raise ConfigError(
                    f"The model has no {kind} '{name}'.",
                    where=f"{key}.state",
                    hint=did_you_mean(name, known, f"It has {', '.join(known)}."),
                )
        given, taken = outputs[giver], inputs[taker]
        if (given.shape, given.dtype) != (taken.shape, taken.dtype):
            raise ConfigError(
                f"'{giver}' is {given.dtype}{list(given.shape)}, and '{taker}' takes "
                f"{taken.dtype}{list(taken.shape)}.",
                where=f"{key}.state",
                hint="Name the output that holds the next step's state.",
            )
    takers = set(source.state.values())
    plain = source.model_copy(update={"samples": None, "state": None, "steps": None})
    if source.random:
        plain = plain.model_copy(update={"samples": source.samples})
    inner = opened(plain, tuple(spec for name, spec in inputs.items() if name not in takers))
    return with_state(inner, model, source.state, source.steps, source.samples)
