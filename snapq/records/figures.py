"""Figures of a model: accuracy, fidelity, estimates, placement, latency, speed-ups."""

from __future__ import annotations

from typing import Any

from snapq.records.base import Origin, Record
from snapq.records.bench import BenchRecord
from snapq.records.language import (
    ContextTimeRecord,
    LanguageModelRecord,
    PairBinaryRecord,
    PartTimeRecord,
    PerplexityRecord,
)
from snapq.records.prediction import PredictionRecord
from snapq.records.tensors import EncodingRecord, LayerRecord, SensitivityRecord, TradeoffRecord


class AccuracyRecord(Record):
    """A metric on labelled data."""

    label: str
    """`float` or the precision, `w8a8`."""
    metric: str
    value: float
    samples: int
    dataset: str
    where: Origin
    device: str | None = None
    random_inputs: bool = False


class FidelityRecord(Record):
    """How near the outputs are to the float model's, output by output; needs no labels."""

    label: str
    output: str
    channels: str = ""
    """Such as `[:, 4:84]`, of a group of channels whose range is another than that of others; empty
    for the whole output."""
    sqnr_db: float
    """Mean over samples of 10 log10(sum(ref^2) / sum((ref - out)^2))."""
    sqnr_db_min: float
    cosine: float
    agreement: float | None = None
    """Share of equal elements, of integer and boolean outputs only."""
    collapsed: str | None = None
    """What is left of an output, or group of channels, that is of no use: `one value` where float
    has several, or its decibels over all samples together where these are below 10."""
    samples: int
    dataset: str
    where: Origin
    device: str | None = None
    random_inputs: bool = False
    behind_cut: bool = False
    """Whether the tail of a model that is cut computed it, on the CPU, from what the part in front
    gave."""


EQUAL = 1e-5
"""Largest error by the range of values with which the values of a regression count as equal."""


class AnswersRecord(Record):
    """How many rows of a classical model get the answer that ONNX Runtime gives."""

    label: str
    output: str
    labels: bool
    """Whether the output holds labels, and no values."""
    rows: int
    equal: int
    """Rows with the same label, or whose values differ by nothing."""
    ties: int = 0
    """Rows with another label, where the two highest scores are equal within 1e-6."""
    rounded: int = 0
    """Further rows with another label, which is that of the model computed in float64: ONNX
    Runtime's sums in float32 are what is off."""
    largest: float = 0.0
    """Largest difference of a value."""
    range: float = 0.0
    """Greatest minus least value of the model as given."""
    sqnr_db: float | None = None
    """Of values; None where nothing differs."""
    dataset: str
    where: Origin
    device: str | None = None
    random_inputs: bool = False

    @property
    def share(self) -> float:
        """Of labels, the rows that are equal, tied or right; of values, 1 - largest error / range.

        Values within 1e-5 of the range are equal: float32 adds leaves in some order.
        """
        if self.labels:
            return (self.equal + self.ties + self.rounded) / self.rows if self.rows else 0.0
        if self.range <= 0:
            return float(self.largest == 0)
        error = self.largest / self.range
        return 1.0 if error <= EQUAL else 1 - error


class EstimatorRecord(Record):
    """An estimator of a classical model, and its size."""

    name: str
    what: str
    """`100 trees of depth 8, 2,340 leaves, 812 distinct conditions`."""
    features: int
    targets: int
    runs_on: str
    """`npu`, or `cpu` in the tail."""


class ImportanceRecord(Record):
    """How much the trees of a classical model ask for a column."""

    estimator: str
    column: int
    """Of what the estimator reads."""
    name: str = ""
    """Of the column of the table, or of the model's input, that this one is made of; empty where
    it is made of several."""
    share: float
    """Of 1: a condition at depth d counts 2^-d."""


class AdviceRecord(Record):
    """Whether the NPU is worth it for a classical model, on one device."""

    device: str
    rows: int
    cpu_us: float
    """Measured on this machine, one thread."""
    npu_us: float
    """Qualcomm's estimate of the accelerator."""
    call_us: float
    """What a call to the NPU takes beside that."""
    host_us: float
    """Head and tail, measured on this machine."""
    npu: bool
    """Whether the NPU is at least 1.5 times faster."""
    sentence: str


class AgreementRecord(Record):
    """The simulated NPU against the CPU of the machine, of the same model and samples."""

    label: str
    device: str
    output: str
    channels: str = ""
    """Such as `[:, 4:84]`, where the output has channels of very different range."""
    npu_sqnr_db: float | None = None
    """Of the simulated NPU against the float model, energies summed over the samples."""
    cpu_sqnr_db: float | None = None
    """The same of ONNX Runtime's CPU."""
    agreement_db: float
    """SQNR of the simulated NPU against the CPU."""
    samples: int
    finding: str
    """`agrees`; `apart`: the NPU is far below the CPU; `collapsed`: one value on the NPU only;
    `dead`: one value on both, and several in float; `changes`: other values from run to run."""
    failed: bool = False
    """Whether the NPU's values are wrong, and no other form of the nodes was found to help."""
    node: str | None = None
    """The first node where the NPU and the CPU part, where one was found."""


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
    batch: int = 1
    """How many samples the call that is estimated takes."""

    @property
    def sample_us(self) -> float:
        """Microseconds a sample."""
        return (self.precise_us or self.us) / self.batch

    @property
    def precise_us(self) -> float:
        """Microseconds with a fraction, for candidates that differ by less than one.

        The estimate gives integer microseconds and cycles; the clock follows from the largest pair.
        """
        return self.us_upper * self.cycles / self.cycles_upper if self.cycles_upper else 0.0


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
    where: Origin | None = None
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
    where: Origin
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
    rows: int | None = None
    """Of a classical model, how many are answered at once."""
    batch: int = 1
    """How many samples a run takes."""
    encode_ms: float | None = None
    """Of a classical package, median of its head's part of the time."""
    decode_ms: float | None = None
    """Likewise of its tail's."""

    @property
    def instructions(self) -> int | None:
        """Instructions an inference; of emulated boards alone, whose clock counts them."""
        return round(self.p50_ms * 1e6) if self.where is Origin.EMULATED else None


class SpeedupRecord(Record):
    """A ratio of two latencies or estimates, with its baseline."""

    baseline: str
    candidate: str
    value: float
    """Baseline over candidate: above 1 is faster."""
    where: Origin
    device: str
    interval: tuple[float, float] | None = None
    """95 % bootstrap interval of measured ratios, 80 % interval of predicted ones; estimates carry
    their bounds instead."""
    remarks: tuple[str, ...] = ()


class FileRecord(Record):
    """One file: where it is (relative to the run directory) and how large."""

    path: str
    sha256: str
    bytes: int
    bytes_compressed: int
    """Size after zlib level 6: what a download costs."""


class BundleDeviceRecord(Record):
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


class AnalysisRecord(Record):
    """What `snapq analyze` found of one model at one precision."""

    model: str
    precision: str
    device: str
    where: Origin
    """How the outputs were computed."""
    samples: int
    dataset: str
    random_inputs: bool
    sqnr_db: float
    """All quantized together, at the output with the lowest SQNR, energies summed over samples."""
    items: tuple[SensitivityRecord, ...]
    """In the model's order."""
    estimate: EstimateRecord | None = None
    notes: tuple[str, ...] = ()


class Figures(Record):
    """Every figure of a run, a field a kind; empty where the run has nothing to take it from.

    A new kind is a field here, which the evidence of that kind fills. `run.json`, a file in
    `measurements/` and a table in the report come with it.
    """

    accuracy: tuple[AccuracyRecord, ...] = ()
    fidelity: tuple[FidelityRecord, ...] = ()
    answers: tuple[AnswersRecord, ...] = ()
    """Of a classical model, against the model as given on this machine's CPU."""
    estimators: tuple[EstimatorRecord, ...] = ()
    importances: tuple[ImportanceRecord, ...] = ()
    advice: tuple[AdviceRecord, ...] = ()
    agreement: tuple[AgreementRecord, ...] = ()
    """Of each device that was compiled for."""
    estimates: tuple[EstimateRecord, ...] = ()
    predictions: tuple[PredictionRecord, ...] = ()
    """Of the package and of the faster fp16 form, one each a device."""
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
    bundle: tuple[BundleDeviceRecord, ...] = ()
    language_models: tuple[LanguageModelRecord, ...] = ()
    """The pair of a language model; the figures below are of it too."""
    perplexities: tuple[PerplexityRecord, ...] = ()
    part_times: tuple[PartTimeRecord, ...] = ()
    context_times: tuple[ContextTimeRecord, ...] = ()
    pair_binaries: tuple[PairBinaryRecord, ...] = ()

    def and_also(self, other: Figures) -> Figures:
        """The figures of both, those of `other` behind."""
        names = type(self).model_fields
        return Figures(**{name: (*getattr(self, name), *getattr(other, name)) for name in names})
