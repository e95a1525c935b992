"""From the `target` of deploy.yaml or of the command line to a target."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from snapq.benchmarking.targets.base import Target
from snapq.boards.inventory import boards
from snapq.devices import profiles
from snapq.errors import ConfigError, DeviceError, nearest
from snapq.progress import Progress as Reporter
from snapq.progress import Silent

TARGETS = (
    "snapq.benchmarking.targets.local:LocalTarget",
    "snapq.benchmarking.targets.qemu:EmulatedTarget",
    "snapq.benchmarking.targets.board:BoardTarget",
)
"""The class of each kind of target, asked in this order; imported when its turn comes."""


def resolve_target(name: str, reporter: Reporter | None = None) -> Target:
    """The target called `name`.

    Args:
        name: a name that one of `TARGETS` answers to, or a board of the inventory.
        reporter: shows what a board does before it measures.

    Raises:
        ConfigError: no target is called so, or it cannot time models.
    """
    if name == "htp-sim":
        raise ConfigError(
            "The simulator computes what the NPU computes, but not how long it takes.",
            where="target htp-sim",
            hint="Use target local for this machine's CPU, or `snapq estimate` for the NPU.",
        )
    for kind in _kinds():
        found = kind.named(name, reporter or Silent())
        if found is not None:
            return found
    _refuse_device(name)
    names = {word: meaning for kind in _kinds() for word, meaning in kind.names.items()}
    close = nearest(name, [*names, *(board.name for board in boards())])
    hint = f"Did you mean {close}? " if close else ""
    known = ", ".join(f"{word} ({meaning})" for word, meaning in names.items())
    raise ConfigError(f"No target is called {name!r}.", hint=f"{hint}There are {known}.")


def _refuse_device(name: str) -> None:
    """Raises `ConfigError` where a chip is named, which is compiled for and does not run here."""
    try:
        device = profiles.find(name).name
    except DeviceError:
        return
    raise ConfigError(
        f"{name!r} is a chip that is compiled for (`devices`, --device), and no place to measure.",
        hint="Name a board with it: ssh://USER@HOST, or one of boards.yaml; "
        f"`snapq estimate MODEL --device {device}` estimates without one.",
    )


def _kinds() -> Iterator[type[Target]]:
    for path in TARGETS:
        module, _, name = path.partition(":")
        yield getattr(import_module(module), name)
