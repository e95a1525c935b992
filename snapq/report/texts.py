"""Figures of a run in words, which the HTML and the terminal share.

A figure always carries its word (`Origin`), and a speed-up its baseline.
"""

from __future__ import annotations

from collections.abc import Iterable

from snapq.records import (
    AccuracyRecord,
    AgreementRecord,
    BundleDeviceRecord,
    EstimateRecord,
    FidelityRecord,
    LatencyRecord,
    Origin,
    PlacementRecord,
    RunRecord,
    SpeedupRecord,
)
from snapq.report import formatting as fmt

FLOAT = "float"


WORDS: dict[Origin, str] = {
    Origin.HOST: "Values computed by ONNX Runtime on the CPU of the machine that made this report.",
    Origin.SIMULATED: "Values computed by Qualcomm's HTP simulator, exact for the architecture. "
    "The simulator says nothing about time.",
    Origin.ESTIMATED: "Qualcomm's Performance Estimate: accelerator time only, without the host, "
    "with a lower and an upper bound. Not a measurement.",
    Origin.PREDICTED: "A board's latency, by a fit of Qualcomm's estimates to latencies that "
    "Qualcomm measured and published: the median, and an interval that holds 80 % of networks. "
    "Not a measurement.",
    Origin.EMULATED: "Run under QEMU, whose clock counts instructions: the values are right, and "
    "the times stand for work, not for speed.",
    Origin.MEASURED: "Timed on real hardware.",
}


MEANINGS: dict[str, str] = {
    "SQNR": "How much larger the float model's output is than the error, in dB: 20 dB is an error "
    "of a tenth, 40 dB of a hundredth. Above 30 hardly anything shows; classes mostly hold from 15 "
    "to 20 on, boxes and landmarks want 30; below 10 an output is broken. Outputs, and groups of "
    "channels of very different range, count each by itself.",
    "cosine": "1 where the outputs point the same way; from 0.99 on close, below 0.9 far apart.",
    "w8a8": "Bits of weights, then of activations; fp16 is 16-bit floating point.",
    "fp16 prepared": "The float model after the prepare stage, at fp16: the baseline of a "
    "speed-up, or the model as given, whichever is faster.",
    "w8a16 form": "The same network with 16-bit activations (or `w8a8 form`, with 8-bit ones): the "
    "baseline on chips without fp16.",
    "same boundary": "The baseline with the package's own inputs and outputs, and forms of layers "
    "that are faster on the chip: what quantization alone gains.",
}
"""Words of the report, with what is good and what is not."""


def float_accuracy(record: RunRecord, item: AccuracyRecord) -> AccuracyRecord | None:
    """The float model's value of the same metric on the same data."""
    wanted = (FLOAT, item.metric, item.dataset)
    bases = (one for one in record.accuracy if (one.label, one.metric, one.dataset) == wanted)
    return None if item.label == FLOAT else next(bases, None)


def accuracy_change(record: RunRecord, item: AccuracyRecord) -> str | None:
    """`−0.2 points from float 87.8 % (host)`, or None where there is no baseline."""
    base = float_accuracy(record, item)
    if base is None:
        return None
    change = fmt.metric_change(item.metric, item.value - base.value)
    return f"{change} from float {fmt.metric_value(base.metric, base.value)} ({base.where})"


def samples_text(item: AccuracyRecord | FidelityRecord) -> str:
    """What a value rests on: how many samples, of what, and whether they are random."""
    shown = item.dataset.startswith(f"{item.samples} ")
    text = item.dataset if shown else f"{fmt.plural(item.samples, 'sample')}: {item.dataset}"
    return f"{text}, random inputs" if item.random_inputs else text


def speaking(items: Iterable[FidelityRecord]) -> list[FidelityRecord]:
    """Those whose SQNR says how good a package is: real outputs, at the cut; all where none is."""
    at_the_cut = [item for item in items if not item.behind_cut]
    return [item for item in at_the_cut if item.agreement is None] or at_the_cut


def agreement_text(item: FidelityRecord) -> str:
    """`99.8 % of elements equal` of integer outputs; nothing of others."""
    if item.agreement is None:
        return ""
    return f"{fmt.number(item.agreement * 100)} % of elements equal"


FINDINGS = {
    "agrees": "agrees up to rounding",
    "apart": "far below the CPU",
    "collapsed": "one value on the NPU, several on the CPU",
    "dead": "one value on the NPU and the CPU, several in float",
    "changes": "other values from run to run on the same input",
}


def finding_text(item: AgreementRecord) -> str:
    """`agrees up to rounding`, `far below the CPU, first at node gate`."""
    text = FINDINGS.get(item.finding, item.finding)
    return f"{text}, first at node {item.node}" if item.node else text


def agreement_value(item: AgreementRecord) -> str:
    """`77.3 dB simulated, 78.9 dB on the CPU; 76.6 dB from the CPU`."""
    against = f"{fmt.decibels(item.agreement_db)} from the CPU"
    if item.npu_sqnr_db is None or item.cpu_sqnr_db is None or item.label == "fp16":
        return against
    npu, cpu = fmt.decibels(item.npu_sqnr_db), fmt.decibels(item.cpu_sqnr_db)
    return f"{npu} simulated, {cpu} on the CPU; {against}"


def place(target: str) -> str:
    """Name of a target as a reader knows it."""
    return "this machine's CPU" if target == "local" else target


def runs_text(latency: LatencyRecord) -> str:
    """`412 runs, 1 thread`, and where the model ran if the target's name does not say it."""
    text = f"{fmt.plural(latency.runs, 'run')}, {fmt.plural(latency.threads, 'thread')}"
    if latency.batch > 1:
        each = latency_text(latency, latency.p50_ms / latency.batch)
        text += f", {latency.batch} samples a run, {each} each"
    shown = latency.target == "local" and latency.placement == "cpu"
    return text if shown else f"{text}, placed on {latency.placement}"


def ratio_text(speedup: SpeedupRecord) -> str:
    """`4.44×`; where instructions were counted, `22.7 % of the instructions`."""
    counted = speedup.where is Origin.EMULATED
    return fmt.share_of_instructions(speedup.value) if counted else fmt.ratio(speedup.value)


def interval_text(speedup: SpeedupRecord) -> str:
    """`95 % interval 4.2 to 4.6`, of what `ratio_text` says; empty where there is none.

    Of predicted ones it is `80 % interval`.
    """
    if speedup.interval is None:
        return ""
    if speedup.where is Origin.PREDICTED:
        return fmt.interval(speedup.interval).replace("95", "80", 1)
    counted = speedup.where is Origin.EMULATED
    return (fmt.interval_of_instructions if counted else fmt.interval)(speedup.interval)


def parts_text(latency: LatencyRecord) -> str:
    """`; 512 rows: encode 0.1 ms, call 1.2 ms, decode 0.1 ms`, of a classical model."""
    if latency.rows is None:
        return ""
    text = f"; {fmt.plural(latency.rows, 'row')}"
    if latency.encode_ms is None or latency.decode_ms is None:
        return text
    rest = latency.p50_ms - latency.encode_ms - latency.decode_ms
    parts = (latency.encode_ms, rest, latency.decode_ms)
    if latency.instructions is not None:
        shown = [fmt.instructions(round(one * 1e6)) for one in parts]
    else:
        shown = [fmt.milliseconds(one) for one in parts]
    return f"{text}: encode {shown[0]}, call {shown[1]}, decode {shown[2]}"


def speedup_text(speedup: SpeedupRecord) -> str:
    """`4.44× over fp16`, with the interval where there is one."""
    text = f"{ratio_text(speedup)} over {speedup.baseline}"
    interval = interval_text(speedup)
    return f"{text} ({interval})" if interval else text


def latency_title(latency: LatencyRecord) -> str:
    """What was measured: `Latency`, or `Instructions` of an emulated board."""
    return "Latency" if latency.instructions is None else "Instructions"


def latency_text(latency: LatencyRecord, ms: float) -> str:
    """A time, or a count of instructions of an emulated board."""
    counted = latency.where is Origin.EMULATED
    return fmt.instructions(round(ms * 1e6)) if counted else fmt.milliseconds(ms)


def estimate_text(item: EstimateRecord) -> str:
    """`224 µs (190 µs to 260 µs)`, and what that is a sample where a call takes several."""
    return f"{fmt.microseconds(item.us)} ({bounds_text(item)}{call_text(item.us, item.batch)})"


def call_text(us: float, batch: int) -> str:
    """`, a call of 8 samples, 28 µs each`; empty where a call takes one."""
    if batch == 1:
        return ""
    return f", a call of {fmt.plural(batch, 'sample')}, {fmt.microseconds(us / batch)} each"


def bounds_text(item: EstimateRecord) -> str:
    """`190 µs to 260 µs`."""
    return f"{fmt.microseconds(item.us_lower)} to {fmt.microseconds(item.us_upper)}"


def placement_text(placement: PlacementRecord) -> str:
    """`64 of 64`."""
    return f"{fmt.integer(placement.npu)} of {fmt.integer(placement.npu + placement.cpu)}"


def target_size(target: BundleDeviceRecord) -> tuple[int, int]:
    """Bytes of a compiled target's files, raw and compressed."""
    return (
        sum(file.bytes for file in target.files),
        sum(file.bytes_compressed for file in target.files),
    )
