"""deploy.yaml as one model, its gates and its benchmark."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snapq.config.schema.base import FromFile, Strict
from snapq.config.schema.data import Data
from snapq.config.schema.gates import Gates
from snapq.config.schema.model import Io, Model
from snapq.config.schema.search import SearchMarks
from snapq.config.schema.stages import StageItem
from snapq.metric_table import METRICS


class BenchmarkConfig(Strict):
    """Latency on a target; baseline and candidate run interleaved."""

    target: str = "local"
    """`local`: this machine's CPU; `ssh://user@host:port` or a name of boards.yaml: a board;
    `qemu`: an emulated board, which counts instructions and measures no time."""
    warmup: Annotated[int, Field(ge=0)] = 10
    """Runs before the clock starts; 1 on an emulated board, where not given."""
    min_runs: Annotated[int, Field(gt=0)] = 100
    """Timed runs of each model, at least; 3 on an emulated board, where not given: there a count
    repeats to a thousandth."""
    min_duration_s: Annotated[float, Field(ge=0)] = 5.0
    """Seconds of timed runs of each model, at least; 0 on an emulated board, where not given."""
    threads: Annotated[int, Field(gt=0)] = 1
    """Threads of ONNX Runtime."""
    repeats: Annotated[int, Field(gt=0, le=100)] = 2
    """How often the models are loaded anew, in the opposite order each time; the timed runs are
    divided among them. 1 on an emulated board, where not given."""
    cooldown_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """Pause between repeats, to let a hot board cool down."""
    allow: Annotated[tuple[Literal["npu", "cpu"], ...], Field(min_length=1)] | None = None
    """Where a board may run the package: `[npu]` where not given. With `cpu` it may fall back, and
    the result says so."""
    baseline: Literal["float32", "fp16"] = "float32"
    """What the package is compared with on a board: the model as given on its CPU (`float32`), or
    compiled for its NPU at 16-bit floating point (`fp16`)."""
    performance_mode: Literal[
        "burst", "sustained_high_performance", "high_performance", "balanced", "power_saver"
    ] = "burst"
    """The NPU's `htp_performance_mode` on a board."""

    def for_counting(self) -> BenchmarkConfig:
        """The same for an emulated board, where keys that nobody wrote have other defaults.

        Its clock counts instructions: nothing has to warm up, and a count repeats to a thousandth,
        so that the median of three runs is within one.
        """
        return self.model_copy(
            update={k: v for k, v in _COUNTING.items() if k not in self.model_fields_set}
        )


_COUNTING = {"warmup": 1, "min_runs": 3, "min_duration_s": 0.0, "repeats": 1}
"""Defaults of `BenchmarkConfig` on an emulated board."""


class DeployConfig(FromFile):
    """A deployment: deploy.yaml."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    """Names the run's folder: up to 100 letters, digits, `.`, `_` and `-`, the first one a letter
    or a digit."""
    model: Model
    devices: Annotated[tuple[str, ...], Field(min_length=1)]
    """Device profiles to compile for; `snapq devices` lists them. The first one is simulated."""
    data: Data = Data()
    metric: str | Annotated[dict[str, str], Field(min_length=1)] | None = Field(
        default=None,
        description=f"{', '.join(f'`{name}`' for name in METRICS)}, or `module:function` of your "
        "own; SQNR and cosine are always computed. Of a model with several outputs: a metric for "
        "each, `{output: metric}`.",
    )
    io: Io = Io()
    stages: Annotated[tuple[StageItem, ...], Field(min_length=1)]
    """Stages in the order in which they run. `prepare` runs first also where it is not named."""
    gates: Gates = Gates()
    benchmark: BenchmarkConfig | None = None
    """Where latency is measured; nothing is measured when not given."""
    own_measurements: bool = True
    """Whether predicted latencies are calibrated on what `snapq history` has of your board, where
    that is at least 3 models; every such figure says so."""
    search: SearchMarks = Field(default_factory=dict)
    """What `snapq search` varies: key paths as `--set` takes them, each with a list of values or a
    range, `{low: 0.1, high: 0.5, step: 0.1}`; `null` leaves a key out. `layers: [w8a8, w8a16,
    fp16]` varies the precision of groups of layers, `resolution: [224, 192]` the size of pictures.
    Where nothing is named, what the model allows is searched. Other commands do not look at it."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of everything random: the same inputs give the same bytes."""
