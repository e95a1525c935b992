"""The channels of a model that can be cut, in groups, and why others cannot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.pruning import rules
from snapq.pruning.axes import Axes, Ids, Made, Summed

_LARGEST_SEARCH = 64
"""Analyses of a graph at most, while choices of reshapes are changed."""


@dataclass(frozen=True)
class Group:
    """Channels that appear in the same axes: any number of them can be cut, one or more must stay.

    Attributes:
        name: the tensor in which they first appear.
        makers: nodes whose weights make them.
        labels: label of each channel, in the order of that tensor's axis.
        width: length of that axis for one channel; above 1 for whole groups and heads.
    """

    name: str
    makers: tuple[str, ...]
    labels: Ids
    width: int

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.labels)


@dataclass(frozen=True)
class Fixed:
    """A layer whose output channels cannot be cut, and why."""

    node: str
    reason: str


@dataclass(frozen=True)
class Structure:
    """What belongs together in a model.

    Attributes:
        model: the model that was analysed: a copy with all constants as initializers.
        ids: numbers of the indices of every axis, by name of the value.
        labels: label of each number.
        groups: what can be cut.
        fixed: what cannot.
        summed: input axes over which nodes sum.
    """

    model: ir.Model
    ids: dict[str, tuple[Ids, ...]]
    labels: Ids
    groups: tuple[Group, ...]
    fixed: tuple[Fixed, ...]
    summed: tuple[Summed, ...]


def find(model: ir.Model) -> Structure:
    """Finds the channels of a model from its graph alone.

    Model inputs and outputs keep their shapes. Where a Reshape leaves a choice (see
    `rules.reshaping`) that something bars, the next one is tried.

    Args:
        model: a model with known shapes; left as it is.
    """
    copy = model.clone()
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(copy)
    choices: dict[str, int] = {}
    for _ in range(_LARGEST_SEARCH):
        axes = _analyse(copy.graph, choices)
        labels = axes.labels()
        if not _reconsider(axes, labels, choices):
            break
    reasons = _reasons(axes, labels)
    groups = tuple(_groups(axes, labels, reasons))
    return Structure(
        model=copy,
        ids=axes.named(),
        labels=labels,
        groups=groups,
        fixed=tuple(_fixed(axes, labels, reasons)),
        summed=tuple(axes.summed),
    )


def _analyse(graph: ir.Graph, choices: dict[str, int]) -> Axes:
    axes = Axes(graph, choices)
    for value in graph.inputs:
        axes.freeze_value(value, f"'{value.name}' is an input of the model")
    for value in graph.outputs:
        axes.freeze_value(value, f"'{value.name}' is an output of the model")
    for node in graph:
        rules.tie(node, axes)
    for name, found in axes.named().items():
        for ids in found:
            if len(ids) == 1:
                axes.freeze(ids, f"'{name}' would be left without it")
    return axes


def _reconsider(axes: Axes, labels: Ids, choices: dict[str, int]) -> bool:
    """Moves choices on that lead nowhere; whether any was moved.

    What a choice leaves free leads nowhere where all of it is barred by something that no choice
    can change. Choices that are barred only by other choices wait until those are settled.
    """
    hard: set[int] = set()
    soft: set[int] = set()
    for frozen in axes.frozen:
        (hard if frozen.choice is None else soft).update(labels[frozen.ids].tolist())
    waiting = []
    moved = False
    for name, ids in axes.chosen.items():
        found = set(labels[ids].tolist())
        if choices.get(name, 0) + 1 >= axes.options[name]:
            continue
        if found <= hard:
            choices[name] = choices.get(name, 0) + 1
            moved = True
        elif found <= hard | soft:
            waiting.append(name)
    if not moved and waiting:
        choices[waiting[-1]] = choices.get(waiting[-1], 0) + 1
        return True
    return moved


def _reasons(axes: Axes, labels: Ids) -> dict[int, str]:
    """Why labels must stay; the first reason in the order of the graph."""
    reasons: dict[int, str] = {}
    for frozen in axes.frozen:
        for label in np.unique(labels[frozen.ids]).tolist():
            reasons.setdefault(label, frozen.reason)
    return reasons


def _groups(axes: Axes, labels: Ids, reasons: dict[int, str]) -> list[Group]:
    """Labels with the same axes (and the same number of indices in each) are one group."""
    signatures = _signatures(axes, labels)
    members: dict[bytes, list[int]] = {}
    first: dict[bytes, Made] = {}
    makers: dict[bytes, list[str]] = {}
    for made in axes.made:
        ids = axes.of(made.node.outputs[0], made.axis)
        here = set()
        for label in dict.fromkeys(labels[ids].tolist()):
            if label in reasons:
                continue
            signature = signatures[label]
            first.setdefault(signature, made)
            if first[signature] is made:
                members.setdefault(signature, []).append(label)
            here.add(signature)
        for signature in here:
            makers.setdefault(signature, []).append(str(made.node.name))
    groups = []
    for signature, made in first.items():
        found = np.array(members[signature], np.int64)
        ids = axes.of(made.node.outputs[0], made.axis)
        width = int((labels[ids] == found[0]).sum())
        if len(found) > 1:
            name = str(made.node.outputs[0].name)
            groups.append(Group(name, tuple(makers[signature]), found, width))
    return groups


def _signatures(axes: Axes, labels: Ids) -> dict[int, bytes]:
    """For each label, the axes that it appears in and how often."""
    numbered = [ids for found in axes.named().values() for ids in found]
    owner = np.zeros(axes.count, np.int64)
    for index, ids in enumerate(numbered):
        owner[ids] = index
    pairs, counts = np.unique(np.stack([labels, owner]), axis=1, return_counts=True)
    starts = np.flatnonzero(np.diff(pairs[0], prepend=-1))
    parts: npt.NDArray[np.int64] = np.stack([pairs[1], counts]).T
    return {
        int(pairs[0][start]): parts[start:end].tobytes()
        for start, end in zip(starts, [*starts[1:], len(parts)], strict=True)
    }


def _fixed(axes: Axes, labels: Ids, reasons: dict[int, str]) -> list[Fixed]:
    """Layers of which no output channel can be cut."""
    found = []
    for made in axes.made:
        ids = labels[axes.of(made.node.outputs[0], made.axis)].tolist()
        if len(ids) > 1 and all(label in reasons for label in ids):
            found.append(Fixed(str(made.node.name), reasons[ids[0]]))
    return found
