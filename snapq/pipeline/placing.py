"""Puts what the steps made into the run directory; packages of several kinds into one bundle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from snapq.bundle import MANIFEST, PACKAGES
from snapq.bundle.deployment import BundleDeployment, write_deployment
from snapq.bundle.packages import add_packages
from snapq.pipeline.cache import copy_artifact
from snapq.pipeline.steps import Branch, Finished
from snapq.stages.artifact import MODEL
from snapq.stages.package.stage import BUNDLE

__all__ = ["Placed", "place"]


@dataclass(frozen=True)
class Placed:
    """A finished step in the run directory.

    Attributes:
        item: the step.
        model: its model there.
        devices: which it is for; none where it is for all.
    """

    item: Finished
    model: Path
    devices: tuple[str, ...]


def place(
    branches: Sequence[Branch], folder: Path, deployment: BundleDeployment
) -> tuple[Placed, ...]:
    """Copies every step into `stages/`, and moves the bundles into one, `bundle/`.

    What the devices of the first branch have stands where it always does; packages of others are
    bundles of their own in `bundle/packages/`. Each bundle is told which deployment it is of.

    Raises:
        StorageError: a file cannot be written.
    """
    found: list[Placed] = []
    bundles: list[Path] = []
    for number, branch in enumerate(branches):
        for item, shared in _own_steps(branches, number):
            name = branch.names[0] if number else None
            model = _placed(item, folder, name)
            if (model.parent / MANIFEST).is_file():
                write_deployment(model.parent, deployment)
            devices = () if shared or len(branches) < 2 else branch.names
            found.append(Placed(item, model, devices))
            if number and item.step.name == "package":
                bundles.append(model.parent)
    if bundles:
        add_packages(folder / BUNDLE, bundles)
    return tuple(found)


def _own_steps(branches: Sequence[Branch], number: int) -> Iterator[tuple[Finished, bool]]:
    """The steps of a branch that no branch before had, and whether all branches share them."""
    others = branches[1:] if number == 0 else branches[:1]
    for item in branches[number].finished:
        elsewhere = [any(item is own for own in other.finished) for other in others]
        if number == 0 or not any(elsewhere):
            yield item, number == 0 and all(elsewhere)


def _placed(item: Finished, folder: Path, name: str | None) -> Path:
    """Puts a finished step into the run directory; returns its model there."""
    own = item.step.folder if name is None else f"{item.step.folder}-{name}"
    place = folder / "stages" / own
    copy_artifact(item.artifact, place)
    bundle = place / BUNDLE
    if not bundle.is_dir():
        return place / MODEL
    target = folder / BUNDLE if name is None else folder / BUNDLE / PACKAGES / name
    target.parent.mkdir(parents=True, exist_ok=True)
    bundle.replace(target)
    return target / MODEL
