"""What a run writes down (`run.json`, `artifact.json`, `measurements/*.json`) and the report shows.

Every number carries its word: `where` says how a value came to be. Times are microseconds (`_us`)
or milliseconds (`_ms`), sizes are bytes, SQNR is dB.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from snapq.bench_record import BenchRecord
from snapq.record import Record as Record
from snapq.record import Where as Where

SCHEMA = "snapq.run/1"


class Provenance(Record):
    """What made the run: versions, machine, inputs."""

    snapq: str
    python: str
    platform: str
    cpu: str
    versions: dict[str, str]
    """Distribution name to version, of every library whose output is in the run."""
    qairt: str | None
    """Build of Qualcomm's runtime, from the compiled binary."""
    command: tuple[str, ...]
    started_at: str
    """ISO 8601, UTC."""
    config_sha256: str
    model_sha256: str
    calibration_sha256: str | None = None
    evaluation_sha256: str | None = None


class FileRecord(Record):
    """One file: where it is (relative to the run directory) and how large."""

    path: str
    sha256: str
    bytes: int
    bytes_compressed: int
    """Size after zlib level 6: what a download costs."""


class StageRecord(Record):
    """One stage of the pipeline."""

    index: int
    name: str
    config: dict[str, Any]
    seconds: float
    cached: bool
    model: FileRecord
    notes: tuple[str, ...] = ()
    """Sentences for the reader: what the stage changed, what it could not do and why."""
    details: dict[str, Any] = Field(default_factory=dict)
    """Figures of this stage alone (rewrites applied, node counts, compile options tried)."""


class AccuracyRecord(Record):
    """A metric on labelled data."""

    label: str
    """`float` or the precision, `w8a8`."""
    metric: str
    value: float
    samples: int
    dataset: str
    where: Where
    device: str | None = None
    random_inputs: bool = False


class FidelityRecord(Record):
    """How near the outputs are to the float model's, output by output; needs no labels."""

    label: str
    output: str
    sqnr_db: float
    """Mean over samples of 10 log10(sum(ref^2) / sum((ref - out)^2))."""
    sqnr_db_min: float
    cosine: float
    agreement: float | None = None
    """Share of equal elements, of outputs of whole numbers or truth values only."""
    samples: int
    dataset: str
    where: Where
    device: str | None = None
    random_inputs: bool = False


class EstimateRecord(Record):
    """Qualcomm's Performance Estimate of one model on one device: accelerator time only."""

    label: str
    """`fp16`, `fp16 same boundary`, `w8a8`: what was estimated."""
    device: str
    estimated_on: str
    """The device whose estimate this is; another one than `device` where `device` has none."""
    us: float
    us_lower: float
    us_upper: float
    cycles: int
    cycles_lower: int
    cycles_upper: int
    ddr_bytes: dict[str, int]
    """Traffic by kind (`Input Fill`, `Output Spill`, …)."""
    missing_ops: int
    """Operators without a cost in the estimate; not 0 means that the figure is too low."""
    options: dict[str, str]
    """Effective provider options."""

    @property
    def accelerator_us(self) -> float:
        """The estimate in microseconds."""
        return self.us


class StepRecord(Record):
    """The model after one step of a run that cuts or trains it."""

    label: str
    """What was done last: `prepare`, `cut`, `repair`, `finetune`, `quantize`."""
    stage: int
    """Index of the stage that did it."""
    precision: str
    """`float`, or weights and activations such as `w8a8`."""
    macs: int
    weight_bytes: int
    """Bytes of weights and other constants."""
    metric: str | None = None
    value: float | None = None
    """The metric on labelled data."""
    sqnr_db: float | None = None
    """Mean output SQNR against the model as given; the worst output of several."""
    samples: int = 0
    dataset: str = ""
    where: Where | None = None
    random_inputs: bool = False
    estimate: EstimateRecord | None = None
    """Of the model as the run would package it at this point."""


class NodePlacement(Record):
    """Where one node runs, and why it is not on the NPU."""

    name: str
    op_type: str
    unit: str
    """`npu`, `cpu`, or `none` where it was folded away and runs nowhere."""
    reason: str | None = None


class PlacementRecord(Record):
    """Which node runs where, read back from the session."""

    label: str
    device: str
    npu: int
    cpu: int
    partitions: int
    cpu_nodes: tuple[NodePlacement, ...] = ()


class LatencyRecord(Record):
    """Latency of one model in an interleaved benchmark."""

    label: str
    target: str
    where: Where
    threads: int
    runs: int
    warmup: int
    mean_ms: float
    std_ms: float
    min_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    create_ms: float
    """Session creation."""
    first_ms: float
    """First inference."""
    peak_rss_bytes: int
    placement: str
    """Where it ran: `cpu`."""

    @property
    def instructions(self) -> int | None:
        """Instructions an inference; of emulated boards alone, whose clock counts them."""
        return round(self.p50_ms * 1e6) if self.where is Where.EMULATED else None


class SpeedupRecord(Record):
    """A ratio of two latencies or estimates, with its baseline."""

    baseline: str
    candidate: str
    value: float
    """Baseline over candidate: above 1 is faster."""
    where: Where
    device: str
    interval: tuple[float, float] | None = None
    """95 % bootstrap interval of measured ratios; estimates carry their bounds instead."""
    remarks: tuple[str, ...] = ()


class LayerRecord(Record):
    """One node: its cost, and how much quantization hurt its output."""

    name: str
    op_type: str
    output: str
    macs: int
    parameters: int
    bytes: int
    """Activations read and written plus parameters, at the float model's types."""
    sqnr_db: float | None = None
    where: Where | None = None
    samples: int | None = None
    """How many samples the SQNR rests on."""


class HistogramRecord(Record):
    """Counts of values between `low` and `high` in equal bins."""

    low: float
    high: float
    counts: tuple[int, ...]


class EncodingRecord(Record):
    """Encoding of one tensor."""

    tensor: str
    kind: str
    """`activation`, `weight`, `bias`."""
    dtype: str
    scale: tuple[float, ...]
    """One value, or one a channel (at most the first 16 are kept here; the bundle has all)."""
    zero_point: tuple[int, ...]
    axis: int | None
    channels: int
    minimum: float
    maximum: float
    histogram: HistogramRecord | None = None


class SensitivityRecord(Record):
    """What quantizing one node, or one tensor, alone costs at the model's outputs."""

    kind: str
    """`node`, `activation` or `weight`."""
    name: str
    op_type: str
    """Operator of the node, or of the one that gives the activation or reads the weight."""
    sqnr_db: float
    """Against the float model, at the output that is hurt most, energies summed over samples."""
    where: Where
    device: str | None
    samples: int
    cause: str | None = None
    us: float | None = None
    """The node's part of the whole model's estimate."""


class AnalysisRecord(Record):
    """What `snapq analyze` found of one model at one precision."""

    model: str
    precision: str
    device: str
    where: Where
    """How the outputs were computed."""
    samples: int
    dataset: str
    random_inputs: bool
    sqnr_db: float
    """All quantized together, at the output that is hurt most, energies summed over samples."""
    items: tuple[SensitivityRecord, ...]
    """In the model's order."""
    estimate: EstimateRecord | None = None
    notes: tuple[str, ...] = ()


class TradeoffRecord(Record):
    """One candidate of mixed precision: how good it is, and its estimated time."""

    label: str
    """`w8a8`, `w8a16`, `fp16`, `w8a8, 7 nodes in uint16`."""
    to: str | None
    """The higher precision; None where no node has it."""
    nodes: tuple[str, ...]
    """Nodes in the higher precision; empty where all of the model has it."""
    value: float
    unit: str
    """`dB` for output SQNR, or the name of the metric."""
    met: bool
    """Whether it keeps the budget."""
    chosen: bool
    where: Where
    device: str | None
    samples: int
    us: float | None
    """Estimate of the accelerator's time; None where there is none."""
    estimated_on: str | None


class GateRecord(Record):
    """A limit, what was found, and whether it held."""

    name: str
    limit: str
    found: str
    passed: bool


class BundleTargetRecord(Record):
    """One compiled target of a bundle."""

    device: str
    soc_id: int
    architecture: int
    vtcm_mb: int | None
    files: tuple[FileRecord, ...]
    options: dict[str, str]
    candidates: tuple[dict[str, Any], ...] = ()
    """Compile options that were tried, each with its estimate."""
    reload: str
    """What the reload in a fresh process showed, one sentence."""
    qairt: str


class RunRecord(Record):
    """The whole of `run.json`."""

    schema_version: str = SCHEMA
    name: str
    started_at: str
    seconds: float
    finished: bool
    """False while the run goes on, or where it was ended early."""
    provenance: Provenance
    config: dict[str, Any]
    model: FileRecord
    targets: tuple[str, ...]
    stages: tuple[StageRecord, ...] = ()
    accuracy: tuple[AccuracyRecord, ...] = ()
    fidelity: tuple[FidelityRecord, ...] = ()
    estimates: tuple[EstimateRecord, ...] = ()
    placements: tuple[PlacementRecord, ...] = ()
    latencies: tuple[LatencyRecord, ...] = ()
    speedups: tuple[SpeedupRecord, ...] = ()
    benches: tuple[BenchRecord, ...] = ()
    """The benchmark on a board in full, apart from the single latencies: those are in
    `measurements/benches.json`."""
    layers: tuple[LayerRecord, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    """Empty where no stage cuts or trains the model."""
    sensitivity: tuple[SensitivityRecord, ...] = ()
    tradeoff: tuple[TradeoffRecord, ...] = ()
    encodings: tuple[EncodingRecord, ...] = ()
    bundle: tuple[BundleTargetRecord, ...] = ()
    bundle_files: tuple[FileRecord, ...] = ()
    gates: tuple[GateRecord, ...] = ()
    notes: tuple[str, ...] = ()
