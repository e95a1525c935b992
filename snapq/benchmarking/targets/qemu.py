"""The target `qemu`: an emulated board, started where it does not run yet.

It is driven as a real board is. Its clock counts instructions, so that its figures are emulated:
they tell two models apart by the work that they are, and never say how fast one is.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from snapq.benchmarking.targets.base import Candidate, Measurement, Progress
from snapq.benchmarking.targets.board import BoardTarget
from snapq.boards.emulator import image, lifecycle, recipe, tools
from snapq.boards.emulator.address import EmulatedAddress
from snapq.boards.emulator.connection import as_board
from snapq.boards.emulator.lifecycle import EmulatedBoard, Options
from snapq.boards.session.measure import Limits
from snapq.config import BenchmarkConfig
from snapq.devices import profiles
from snapq.errors import DeviceError
from snapq.progress import Progress as Reporter
from snapq.progress import Silent
from snapq.records import Origin

_LIMITS = Limits(step_s=7200.0, silence_s=600.0)
"""A second on the board takes several here, and many on a busy machine."""
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class EmulatedTarget:
    """An emulated board: built once, started for a measurement where it does not run yet."""

    names: ClassVar = {"qemu": "an emulated board that counts instructions"}
    name: str
    address: EmulatedAddress
    reporter: Reporter = field(default_factory=Silent)
    """Shows the build, pushes and set-up."""
    where: Origin = Origin.EMULATED

    @classmethod
    def named(cls, name: str, reporter: Reporter) -> EmulatedTarget | None:
        """The emulated board of `qemu` or `qemu://NAME?…`. Raises `ConfigError`."""
        address = EmulatedAddress.parse(name)
        return None if address is None else cls(name, address, reporter)

    def check(self, protocol: BenchmarkConfig) -> None:
        """Sees to it that the board can be started, without starting it.

        Raises:
            DeviceError: only the NPU is allowed, and there is none; or the SoC is unknown.
            InstallError: a program is missing, or the board cannot be built.
            StorageError: the disk is full.
        """
        tools.require(tools.RUNS)
        if self.address.soc is not None:
            profiles.find(self.address.soc)
        if protocol.allow == ("npu",):
            raise DeviceError(
                "An emulated board has no NPU.",
                where=self.name,
                hint="Let it measure its CPU: --set benchmark.allow=[npu,cpu]",
            )
        image.build(recipe.recipe(), self.reporter)

    def measure(
        self,
        candidates: Sequence[Candidate],
        protocol: BenchmarkConfig,
        progress: Progress | None = None,
    ) -> Measurement:
        """Counts the candidates' instructions, interleaved, on the board's CPU.

        Raises:
            SnapqError: as `BoardTarget.measure`, and where the board cannot be started.
        """
        # The board never has an NPU. Where the user does not say what is allowed, its CPU is, and
        # the first line of the result says so.
        allowed = protocol.allow or ("npu", "cpu")
        with self._board() as board:
            return board.measure(
                candidates, protocol.model_copy(update={"allow": allowed}), progress
            )

    @contextmanager
    def _board(self) -> Iterator[BoardTarget]:
        """A running board; ended afterwards where it was not running before."""
        named = self.address.name
        running = lifecycle.find(named) if named is not None else None
        if running is not None:
            self._check_kind(running)
            yield self._target(running)
            return
        name = named or f"snapq-{os.getpid()}-{next(_NUMBERS)}"
        options = Options(soc=self.address.soc, npu=self.address.npu)
        started = lifecycle.start(name, options, self.reporter, attached=True)
        try:
            yield self._target(started)
        finally:
            lifecycle.stop(name)

    def _check_kind(self, board: EmulatedBoard) -> None:
        """Refuses a running board that is another one than the address says."""
        soc = self.address.soc
        if soc is not None and (board.options.soc, board.options.npu) != (soc, self.address.npu):
            raise DeviceError(
                f"The board that runs pretends to be {board.options.soc or 'none in particular'} "
                f"({board.options.npu}).",
                where=self.name,
                hint=f"Stop it: snapq board emulate stop {board.name}; or use qemu://{board.name}",
            )

    def _target(self, board: EmulatedBoard) -> BoardTarget:
        return BoardTarget(
            as_board(board, self.name), self.reporter, limits=_LIMITS, where=Origin.EMULATED
        )
