"""Importance of channels from gradients: what the model's outputs would lose with a channel.

To first order, the outputs `y` change by `sum z_c dy/dz_c` when what the layers make of channel
`c`, `z_c`, becomes zero: the expansion of Molchanov et al., "Importance Estimation for Neural
Network Pruning" (2019), of the outputs themselves in place of a loss, so that no labels are needed.
The energy of that change is estimated with random projections: for `v` of the normal distribution,
the mean of `(v' J z)²` is `|J z|²`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from snapq.pruning.groups import Structure
from snapq.pruning.importance import Ranking, by_energy
from snapq.training.library import Tensor, torch
from snapq.training.module import GraphModule

__all__ = ["PROJECTIONS", "taylor"]

PROJECTIONS = 4
"""Random projections of the outputs a sample."""


def taylor(
    structure: Structure,
    samples: Iterable[Mapping[str, np.ndarray]],
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> tuple[Ranking, ...]:
    """Ranks the channels of every group by the energy that the outputs would lose with them.

    Args:
        structure: what belongs together in a float model.
        samples: feeds of the model; read once.
        seed: seed of the projections.
        progress: called with the number of samples that were read once more.

    Returns:
        One ranking a group; losses are shares of the outputs' energy, added up as if channels did
        not make up for one another.

    Raises:
        ModelError: training cannot run an operator of the model.
    """
    module = GraphModule(structure.model)
    makers = _makers(structure)
    generator = torch.Generator().manual_seed(seed)
    energy = np.zeros(len(structure.labels) + 1)
    count = 0
    for feeds in samples:
        fed = {name: torch.from_numpy(np.array(value)) for name, value in feeds.items()}
        values = module(fed, makers)
        outputs = [values[name] for name in module.output_names]
        energy += _lost([o for o in outputs if o.requires_grad], values, makers, generator, energy)
        count += 1
        if progress is not None:
            progress(1)
    return by_energy(structure, energy / max(count, 1))


def _lost(
    outputs: list[Tensor],
    values: Mapping[str, Tensor],
    makers: Mapping[str, list[tuple[int, np.ndarray]]],
    generator: torch.Generator,
    like: np.ndarray,
) -> np.ndarray:
    """Energy lost with each label on one sample, as a share of the outputs' energy."""
    lost = np.zeros_like(like)
    made = [values[name] for name in makers]
    scales = [float(output.detach().square().sum()) ** -0.5 for output in outputs]
    for index in range(PROJECTIONS):
        projected = torch.stack(
            [
                (output * torch.randn(output.shape, generator=generator)).sum() * scale
                for output, scale in zip(outputs, scales, strict=True)
            ]
        ).sum()
        gradients = torch.autograd.grad(
            projected, made, retain_graph=index + 1 < PROJECTIONS, allow_unused=True
        )
        change = np.zeros_like(like)
        for name, value, gradient in zip(makers, made, gradients, strict=True):
            if gradient is None:
                continue
            share = (value.detach() * gradient).numpy().astype(np.float64)
            for axis, labels in makers[name]:
                others = tuple(other for other in range(share.ndim) if other != axis)
                np.add.at(change, labels, share.sum(others))
        lost += np.square(change)
    result: np.ndarray = lost / PROJECTIONS
    return result


def _makers(structure: Structure) -> dict[str, list[tuple[int, np.ndarray]]]:
    """Tensors in which channels of groups are made, with the axes that carry them and labels."""
    names = {name for group in structure.groups for name in group.makers}
    grouped = {int(label) for group in structure.groups for label in group.labels}
    found: dict[str, list[tuple[int, np.ndarray]]] = {}
    for node in structure.model.graph:
        if node.name not in names:
            continue
        name = str(node.outputs[0].name)
        for axis, ids in enumerate(structure.ids[name]):
            labels = structure.labels[ids]
            if grouped.intersection(labels.tolist()):
                found.setdefault(name, []).append((axis, labels))
    return found
