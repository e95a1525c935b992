"""How long a board may take: a measurement that never ends is no measurement.

The board says every two seconds that it lives, so silence is noticed at once; a board that only
says so, or that goes on measuring, is noticed here. What is allowed follows from what the protocol
asks for, from how long the board says that one inference takes, and from the limits of its agent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from snapq.boards.session import answers
from snapq.config import BenchmarkConfig
from snapq.errors import DeviceError

__all__ = ["Patience"]

_TURNS = 50
"""Of a model, as the agent divides its runs."""
_SLACK = 10
"""Times what is expected: the agent waits for a turn as long."""
_TRIES = 2
"""Steps between two answers: what fails is tried once more to learn why, and a model is loaded and
warmed up."""


@dataclass
class Patience:
    """What the board may take, in seconds of the host's clock.

    Args:
        address: the board, for messages.
        protocol: how often and how long the models run.
        step_s: what one step of one model may take.
        wait_s: for somebody else's measurement to end.
        tries: how many models and fallbacks there are to load.
        clock: the time in seconds.
    """

    address: str
    protocol: BenchmarkConfig
    step_s: float
    wait_s: float
    tries: int
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._started = self._heard = self.clock()
        self._inference_s: dict[str, float] = {}

    def heard(self, said: object) -> None:
        """Takes note of an answer; signs of life are none."""
        if isinstance(said, answers.Loaded):
            elapsed = self.clock() - self._started  # what a board says may be a lie
            self._inference_s[said.label] = min(said.first_ms / 1000, elapsed)
        if isinstance(
            said, answers.Fallback | answers.Loaded | answers.Turn | answers.Usage | answers.Damaged
        ):
            self._heard = self.clock()

    def check(self) -> None:
        """Raises `DeviceError` where the board has taken longer than can be."""
        now = self.clock()
        step, whole = self._step_s(), self._whole_s()
        first = 0.0 if self._inference_s else self.wait_s
        if now - self._heard > first + step:
            raise DeviceError(
                f"The board says that it lives, and has had no result for {first + step:.0f} s.",
                where=self.address,
                hint="Check what else runs on the board, and try again.",
            )
        if now - self._started > whole:
            raise DeviceError(
                f"The board goes on measuring after {whole:.0f} s, longer than what was asked for "
                "can take.",
                where=self.address,
                hint="Check that nothing else runs there under the name of Python, and try again.",
            )

    def _step_s(self) -> float:
        """Between two answers that tell of work."""
        slowest = max(self._inference_s.values(), default=0.0)
        return (
            _TRIES * self.step_s
            + self.protocol.cooldown_s
            + _SLACK * self._runs_s(slowest) / _TURNS
        )

    def _whole_s(self) -> float:
        """All of it: each load in each repeat, then what the protocol asks for."""
        protocol = self.protocol
        loads = protocol.repeats * (self.tries * _TRIES * self.step_s + protocol.cooldown_s)
        runs = sum(map(self._runs_s, self._inference_s.values()))
        return self.wait_s + loads + self.step_s + _SLACK * runs

    def _runs_s(self, inference_s: float) -> float:
        """What the protocol asks for of one model that takes so long."""
        protocol = self.protocol
        runs = protocol.warmup + protocol.min_runs + _TURNS * (1 + protocol.repeats)
        return max(protocol.min_duration_s, 0.0) + runs * inference_s
