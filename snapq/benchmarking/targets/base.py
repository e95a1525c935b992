"""What a target is: a place that runs models, and may time them.

A target never knows how a model was made, and nothing above it knows how the target reaches the
place: whether it starts a process, or pushes files over SSH, is its own affair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np

from snapq.config import BenchmarkConfig
from snapq.progress import Progress as Reporter
from snapq.records import LatencyRecord, Origin, SpeedupRecord
from snapq.records.bench import BenchRecord

Feeds = Mapping[str, np.ndarray]
"""Input name to array, of the dtype and shape that the model takes."""
Progress = Callable[[float], None]
"""Called with the share that is done, 0 to 1."""


@dataclass(frozen=True)
class Candidate:
    """One model of a benchmark, with an input of its own.

    Candidates of one benchmark may take different inputs: a float model normalized NCHW float32,
    its package raw NHWC uint8.
    """

    label: str
    """`float`, `w8a8`: unique in a benchmark."""
    model: Path
    """An ONNX file; external data and context binaries lie beside it."""
    feeds: Feeds
    """Of a classical bundle the model's rows: head and tail are timed with it."""
    bundle: Path | None = None
    """The bundle that the model belongs to; a board runs what is in it for its own SoC."""
    answers_of: Path | None = None
    """The classical bundle whose golden rows the model must answer as ONNX Runtime does."""
    batch: int = 1
    """How many samples `feeds` holds."""


@dataclass(frozen=True)
class Measurement:
    """What a benchmark found. The first candidate is the baseline of every speed-up."""

    latencies: tuple[LatencyRecord, ...]
    speedups: tuple[SpeedupRecord, ...]
    samples: Mapping[str, np.ndarray]
    """Label to latencies in ms, `[rounds, runs in a turn]`, in the order in which they were
    taken."""
    remarks: tuple[str, ...]
    """What makes the figures weaker than they look; empty where nothing was found."""
    records: tuple[BenchRecord, ...] = ()
    """The whole result of each candidate, in their order."""


class Target(Protocol):
    """Runs models, and may time them; a new kind is a class like this and a line in `resolve`."""

    names: ClassVar[Mapping[str, str]]
    """The names that it answers to, `ssh://USER@HOST`, each with what it stands for."""

    @classmethod
    def named(cls, name: str, reporter: Reporter) -> Target | None:
        """The target of this name; None where the name is not one of this kind.

        Raises:
            ConfigError: the name is of this kind, and wrong.
        """

    @property
    def name(self) -> str:
        """As in deploy.yaml: `local`, `ssh://USER@HOST`."""

    @property
    def where(self) -> Origin:
        """The word that every number of this target carries."""

    def check(self, protocol: BenchmarkConfig) -> None:
        """Sees, without measuring, whether the target can be used as the protocol says.

        Raises:
            ConfigError: the protocol asks for what this target has not.
            SnapqError: the target cannot be reached or used.
        """

    def measure(
        self,
        candidates: Sequence[Candidate],
        protocol: BenchmarkConfig,
        progress: Progress | None = None,
    ) -> Measurement:
        """Times the candidates, interleaved.

        Raises:
            SnapqError: a model or an input is refused, or the target cannot time models.
        """
