"""The result of one benchmark of one model, `snapq.bench/1`: what history and comparisons keep.

Times are milliseconds, sizes bytes. `emulated` and `valid` say what a figure is worth: a speed-up
of a result that is not valid is a remark and not a claim.
"""

from __future__ import annotations

from pydantic import AliasChoices, Field

from snapq.records.base import Origin, Record
from snapq.records.prediction import PredictionRecord

SCHEMA = "snapq.bench/1"


class BenchModel(Record):
    """What was timed."""

    name: str
    label: str
    """`float32`, `w8a8`: unique in a benchmark."""
    sha256: str
    bytes: int


class BenchTarget(Record):
    """Where it was timed."""

    name: str
    """As the user named it."""
    transport: str
    soc: str | None = None
    soc_id: int | None = None
    """The kernel's number of the SoC, read from the board."""
    architecture: int | None = None
    host: str = ""
    os: str = ""
    kernel: str = ""
    machine: str = ""
    cpu: str = ""
    cores: int | None = None


class BenchRuntime(Record):
    """What ran it."""

    versions: dict[str, str]
    backend: str
    """`htp` or `cpu`."""
    options: dict[str, str] = Field(default_factory=dict)
    """Effective provider options."""


class BenchSkipped(Record):
    """An entry of the fallback chain that was not taken."""

    fallback: str = Field(validation_alias=AliasChoices("fallback", "rung"))
    """Its name; `rung` in results of older versions."""
    reason: str
    hint: str | None = None
    said: str | None = None
    """The runtime's own words, where the reason is ours."""


class BenchPlacement(Record):
    """Which entry of the fallback chain it ran on, and which node where."""

    fallback: str = Field(validation_alias=AliasChoices("fallback", "rung"))
    """`npu context binary`, `npu compile`, `cpu`."""
    skipped: tuple[BenchSkipped, ...] = ()
    npu: int | None = None
    cpu: int | None = None
    partitions: int | None = None
    cpu_nodes: tuple[tuple[str, str], ...] = ()


class BenchProtocol(Record):
    """How it was timed."""

    warmup: int
    min_runs: int
    min_duration_s: float
    repeats: int
    cooldown_s: float
    threads: int
    order: str = "interleaved"
    performance_mode: str | None = None


class BenchLoad(Record):
    """Medians over the repeats."""

    create_cold: float
    """Session creation with the files out of the page cache, as far as the kernel obeys."""
    create_warm: float | None
    first_inference: float


class BenchLatency(Record):
    """Of all runs of all repeats."""

    n: int
    mean: float
    std: float
    min: float
    p5: float
    p50: float
    p75: float
    p90: float
    p95: float
    p99: float
    p999: float
    max: float


class BenchMemory(Record):
    """Resident bytes of the process with the model."""

    before: int | None
    loaded: int | None
    peak: int


class BenchThermal(Record):
    """Temperatures in degrees Celsius and clocks in kHz."""

    before: dict[str, float] = Field(default_factory=dict)
    highest: dict[str, float] = Field(default_factory=dict)
    after: dict[str, float] = Field(default_factory=dict)
    cpu_khz_before: tuple[int | None, ...] = ()
    cpu_khz_lowest: tuple[int | None, ...] = ()
    governors: tuple[str, ...] = ()
    throttled: bool | None = None
    """None where the board does not tell."""


class BenchGolden(Record):
    """Outputs against the bundle's golden data."""

    output: str
    samples: int
    exact: bool
    """Bit by bit what Qualcomm's simulator gave."""
    largest: float
    """Largest absolute difference; for integers in steps of the encoding."""
    unit: str
    """`steps`, or `absolute`."""
    span: float
    """Largest absolute golden value."""


class BenchAnswers(Record):
    """One output of a classical model against ONNX Runtime's answers to the golden rows."""

    output: str
    labels: bool
    """Whether it holds labels, and no values."""
    rows: int
    equal: int
    """Rows with the same label, or the same values to the bit."""
    ties: int
    """Rows with another label, between which and ONNX Runtime's the scores do not tell."""
    largest: float
    """Largest difference of a value."""
    mean: float
    """Mean over the rows of the largest difference in each."""
    range: float
    """Greatest less least value."""
    limit: float | None
    """How many labels may be others, or how far a value may be off; None where nobody knows."""
    mean_limit: float | None
    """How large `mean` may be; None of labels."""
    met: bool | None


class BenchParts(Record):
    """Of a classical package, medians in ms: what the CPU computes around it, and the call."""

    encode: float
    """The head: from rows to what the package takes."""
    call: float
    """The session's run."""
    decode: float
    """The tail: from what the package gives to answers."""


class BenchVerdict(Record):
    """Of a classical package: whether the NPU or the CPU wins at this many rows."""

    winner: str | None
    """`npu`, `cpu`, `neither`, or None where the figures do not tell."""
    where: Origin
    """How the NPU's side came to be."""
    rival: str
    """The fastest model on the CPU."""
    gain: float | None
    """The CPU's time over that of the NPU's way."""
    sentence: str


class BenchBaseline(Record):
    """What a speed-up compares with."""

    run_id: str
    label: str
    conditions_match: bool
    """Whether both ran on the same processor in the same benchmark."""


class BenchSpeedup(Record):
    """Median of the baseline over median of this model, of a sample each."""

    value: float
    ci95: tuple[float, float] | None


class BenchValid(Record):
    """Whether the figures are a claim; every reason against it is a sentence."""

    ok: bool
    min_duration_met: bool
    min_runs_met: bool
    all_on_npu: bool
    not_throttled: bool
    not_emulated: bool
    golden_met: bool | None = None
    """None where there is nothing to compare with."""
    answers_met: bool | None = None
    """Whether a classical model answers its golden rows rightly; None as above."""
    reasons: tuple[str, ...] = ()


class BenchSubject(Record):
    """What was measured, beyond the bytes of the model: what tells unlike results apart."""

    deployment: str
    """`name` of the deploy.yaml."""
    given_sha256: str
    """Of the model as given, before any stage."""
    stage: str
    """The stage that made the timed model: `source` of the model as given, `package`."""
    precision: str
    """`float32`, `fp16`, or weights and activations such as `w8a8`."""
    calibration_sha256: str | None = None
    evaluation_sha256: str | None = None


class BenchRecord(Record):
    """The result with every single latency."""

    schema_version: str = SCHEMA
    run_id: str
    started_at: str
    """ISO 8601, UTC, by the host's clock."""
    snapq_version: str
    where: Origin
    headline: str
    """The first line: where it ran and why."""
    model: BenchModel
    subject: BenchSubject | None = None
    """None where the bundle does not tell: one that no run made, or a former version's copy."""
    target: BenchTarget
    runtime: BenchRuntime
    placement: BenchPlacement
    protocol: BenchProtocol
    load_ms: BenchLoad
    latency_ms: BenchLatency
    instructions: int | None = None
    """Instructions an inference, the median; of emulated boards alone, whose clock counts them."""
    throughput_ips: float
    memory: BenchMemory
    thermal: BenchThermal
    golden: tuple[BenchGolden, ...] = ()
    answers: tuple[BenchAnswers, ...] = ()
    rows: int | None = None
    """How many rows a classical model answers in one run; head and tail are part of the run."""
    batch: int = 1
    """How many samples a run takes; `throughput_ips` and `speedup` count samples."""
    parts_ms: BenchParts | None = None
    verdict: BenchVerdict | None = None
    predicted: PredictionRecord | None = None
    """What was predicted of this model on this board's SoC."""
    baseline: BenchBaseline | None = None
    speedup: BenchSpeedup | None = None
    valid: BenchValid
    remarks: tuple[str, ...] = ()
    samples: tuple[tuple[float, ...], ...] = ()
    """Latencies, a row a turn, in the order in which they were taken."""

    @property
    def answers_wrongly(self) -> bool:
        """Whether a classical model gave wrong answers to its golden rows."""
        return self.valid.answers_met is False

    def without_samples(self) -> BenchRecord:
        """The same without the single latencies."""
        return self.model_copy(update={"samples": ()})
