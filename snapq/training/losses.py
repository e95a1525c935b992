"""How far a student is from its teacher, the float original, and from labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import is_op
from snapq.graph.shapes import static_shape
from snapq.training.library import Tensor, functional, torch

__all__ = ["Feature", "features", "label_loss", "output_loss", "relative_error"]

_FEATURES = 8


@dataclass(frozen=True)
class Feature:
    """A value inside both graphs.

    Attributes:
        teacher: its name in the float original.
        student: its name in the graph that is trained.
        whole: whether the shapes are equal; where not (channels were cut), only the map of where
            the energy lies is compared.
    """

    teacher: str
    student: str
    whole: bool


def features(
    teacher: ir.Model, student: ir.Model, count: int = _FEATURES, equal: Collection[str] = ()
) -> tuple[Feature, ...]:
    """Values that both graphs have, evenly spaced over the teacher's depth.

    A tensor that the student holds in integers is compared as it is read back.

    Args:
        teacher: the float original.
        student: the graph that is trained.
        count: how many at most.
        equal: names of values of which it is known that they are equal.
    """
    left_out = {*equal, *(str(value.name) for value in teacher.graph.outputs)}
    own = {str(value.name): value for node in student.graph for value in node.outputs}
    found = []
    for node in teacher.graph:
        value = node.outputs[0]
        name = str(value.name)
        read = own.get(f"{name}_dequantized", own.get(name))
        shape = static_shape(value)
        if read is None or name in left_out or value.dtype != ir.DataType.FLOAT or not shape:
            continue
        other = static_shape(read)
        if other == shape:
            found.append(Feature(name, str(read.name), True))
        elif other is not None and len(shape) == 4 and other[2:] == shape[2:] != (1, 1):
            found.append(Feature(name, str(read.name), False))
    if len(found) <= count:
        return tuple(found)
    return tuple(found[(2 * index + 1) * len(found) // (2 * count)] for index in range(count))


def relative_error(student: Tensor, teacher: Tensor) -> Tensor:
    """Energy of the difference over the energy of the teacher's values, 0-d."""
    error: Tensor = (student - teacher).square().sum() / (teacher.square().sum() + 1e-12)
    return error


def feature_loss(
    pairs: Sequence[Feature], student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]
) -> Tensor:
    """Mean relative error over features. Values are `[B, …]`.

    Where channels were cut, maps of energy are compared: attention transfer (Zagoruyko and
    Komodakis, 2017, arXiv 1612.03928).
    """
    losses = []
    for pair in pairs:
        found, wanted = student[pair.student], teacher[pair.teacher]
        if not pair.whole:
            found, wanted = _map(found), _map(wanted)
        losses.append(relative_error(found, wanted))
    return torch.stack(losses).mean()


def _map(values: Tensor) -> Tensor:
    """Where the energy of `[B, 1, C, H, W]` lies: `[B, H W]`, each of length 1."""
    energy = values.square().mean(-3).flatten(1)
    return functional.normalize(energy, dim=1)


def output_loss(
    kinds: Mapping[str, str], student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]
) -> Tensor:
    """Sum over outputs of the distance that fits each (see `output_kinds`). Values are `[B, …]`."""
    total = torch.zeros(())
    for name, kind in kinds.items():
        found, wanted = student[name], teacher[name]
        if kind == "values":
            total = total + relative_error(found, wanted)
        elif kind == "scores":
            truth = torch.log_softmax(wanted, -1)
            divergence = functional.kl_div(
                torch.log_softmax(found, -1), truth, log_target=True, reduction="sum"
            )
            rows = found.numel() / found.shape[-1]
            total = total + relative_error(found, wanted) + divergence / rows
        else:
            truth = wanted.clamp(1e-7, 1)
            surprise = (truth * (truth.log() - found.clamp(1e-7, 1).log())).sum()
            total = total + surprise / (wanted.numel() / wanted.shape[-1])
            total = total + relative_error(found, wanted)
    return total


def output_kinds(model: ir.Model) -> dict[str, str]:
    """How each float output is compared, by name.

    `probabilities` of a Softmax and `scores` of classes (`[1, C]`) are compared by the divergence
    of distributions too, all other `values` by relative error alone.
    """
    kinds = {}
    for value in model.graph.outputs:
        if value.dtype != ir.DataType.FLOAT:
            continue
        shape, producer = static_shape(value), value.producer()
        if producer is not None and producer.op_type == "Softmax":
            kinds[str(value.name)] = "probabilities"
        elif shape and len(shape) == 2 and shape[1] > 1 and not is_op(producer, "Sigmoid"):
            kinds[str(value.name)] = "scores"
        else:
            kinds[str(value.name)] = "values"
    return kinds


def label_loss(
    kinds: Mapping[str, str], student: Mapping[str, Tensor], labels: Sequence[object]
) -> Tensor | None:
    """Cross entropy of the first output of classes with class numbers; None where it does not fit.

    Args:
        kinds: as `output_kinds` gives them.
        student: outputs, `[B, 1, C]`.
        labels: one a sample.
    """
    name = next((name for name, kind in kinds.items() if kind != "values"), None)
    if name is None or not all(isinstance(label, int | np.integer) for label in labels):
        return None
    found = student[name].flatten(0, -2)
    if found.shape[0] != len(labels):
        return None
    scores = found.clamp(1e-7, 1).log() if kinds[name] == "probabilities" else found
    target = torch.as_tensor([int(label) for label in labels], device=found.device)  # type: ignore[call-overload]
    loss: Tensor = functional.cross_entropy(scores, target)
    return loss


def agreement(
    kinds: Mapping[str, str], student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]
) -> float | None:
    """Share of equal classes in the first output of classes; None where there is none."""
    name = next((name for name, kind in kinds.items() if kind != "values"), None)
    if name is None:
        return None
    same = student[name].argmax(-1) == teacher[name].argmax(-1)
    return float(same.float().mean())
