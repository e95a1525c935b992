"""From the `target` of deploy.yaml or of the command line to a target."""

from __future__ import annotations

from snapq.benchmarking.targets.base import Target
from snapq.boards.emulator.address import EmulatedAddress
from snapq.boards.inventory import boards, find_board
from snapq.boards.transports.address import ADDRESSES
from snapq.errors import ConfigError, nearest
from snapq.progress import Progress, Silent

TARGETS = {
    "local": "this machine's CPU",
    **{address.form: address.meaning for address in ADDRESSES},
    "qemu": "an emulated board that counts instructions",
}
"""Name of each target, and what it is; boards of the inventory go by their own names."""


def resolve_target(name: str, told: Progress | None = None) -> Target:
    """The target called `name`.

    Args:
        name: one of `TARGETS`, or a board of the inventory.
        told: who is told what goes on before a board measures.

    Raises:
        ConfigError: no target is called so, or it cannot time models.
    """
    if name == "local":
        from snapq.benchmarking.targets.local import LocalTarget

        return LocalTarget()
    if name == "htp-sim":
        raise ConfigError(
            "The simulator computes what the NPU computes, but not how long it takes.",
            where="target htp-sim",
            hint="Use target local for this machine's CPU, or `snapq estimate` for the NPU.",
        )
    emulated = EmulatedAddress.parse(name)
    if emulated is not None:
        from snapq.benchmarking.targets.qemu import EmulatedTarget

        return EmulatedTarget(name, emulated, told or Silent())
    board = find_board(name)
    if board is not None:
        from snapq.benchmarking.targets.board import BoardTarget

        return BoardTarget(board, told or Silent())
    close = nearest(name, [*TARGETS, *(board.name for board in boards())])
    hint = f"Did you mean {close}? " if close else ""
    known = ", ".join(f"{target} ({meaning})" for target, meaning in TARGETS.items())
    raise ConfigError(f"No target is called {name!r}.", hint=f"{hint}There are {known}.")
