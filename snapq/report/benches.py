"""A benchmark in words, the same in the HTML report and in the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from snapq.records import Origin
from snapq.records.bench import BenchAnswers, BenchGolden, BenchRecord
from snapq.report import formatting as fmt


def counts(record: BenchRecord) -> bool:
    """Whether the clock counted instructions: then nothing of the result is a time."""
    return record.where is Origin.EMULATED


def figure(record: BenchRecord, ms: float) -> str:
    """What was measured as `12.3 ms`, or `12.3 million instructions` where those were counted."""
    return fmt.instructions(round(ms * 1e6)) if counts(record) else fmt.milliseconds(ms)


def cell(record: BenchRecord, ms: float) -> str:
    """As `figure`, in a table whose caption says that it counts millions of instructions."""
    return fmt.number(ms) if counts(record) else fmt.milliseconds(ms)


def caption(record: BenchRecord) -> str:
    """What the table of a benchmark holds."""
    return "Million instructions an inference" if counts(record) else "Latency"


def ratio(record: BenchRecord) -> str:
    """`4.4× over`, or `22.7 % of the instructions of` the baseline; empty without one."""
    if record.speedup is None:
        return ""
    if counts(record):
        return f"{fmt.share_of_instructions(record.speedup.value)} of"
    return f"{fmt.ratio(record.speedup.value)} over"


def load_text(record: BenchRecord) -> str:
    """What it took to load, and the memory that it took."""
    load = record.load_ms
    warm = "" if load.create_warm is None else f", {figure(record, load.create_warm)} warm"
    return (
        f"{record.model.label}: session created in {figure(record, load.create_cold)} cold{warm},"
        f" first inference {figure(record, load.first_inference)}, at most "
        f"{fmt.size(record.memory.peak)} resident"
    )


def lines(record: BenchRecord) -> Iterator[str]:
    """Verdict, parts, speed-up, golden check, and what weakens the figures."""
    label = record.model.label
    if record.verdict is not None:
        yield f"{label}: {record.verdict.sentence}"
    if record.parts_ms is not None:
        yield f"{label}: {parts_text(record)}"
    if record.instructions is not None:
        yield f"{label}: {fmt.instructions(record.instructions)} an inference."
    if record.speedup is not None and record.baseline is not None:
        word = str(record.where) if record.valid.ok else f"{record.where}, not a claim"
        text = f"{label}: {ratio(record)} {record.baseline.label} ({word})"
        if record.speedup.ci95 is not None:
            inverse = fmt.interval_of_instructions if counts(record) else fmt.interval
            text += f", {inverse(record.speedup.ci95)}"
        if not record.baseline.conditions_match:
            text += f"; {record.baseline.label} ran on another processor"
        yield text
    if (predicted := predicted_text(record)) is not None:
        yield f"{label}: {predicted}"
    for golden in record.golden:
        yield f"{label}: {golden_text(golden)}"
    for answers in record.answers:
        yield f"{label}: {answers_text(answers)}"
    if record.valid.reasons:
        yield f"{label}: not a claim, {'; '.join(record.valid.reasons)}."
    yield from record.remarks


def predicted_text(record: BenchRecord) -> str | None:
    """What was predicted, and where what was measured lies; None of what is not predicted."""
    found = record.predicted
    if found is None:
        return None
    if found.us is None or found.us_lower is None or found.us_upper is None:
        return found.sentence
    us = record.latency_ms.p50 * 1000
    side = "above" if us >= found.us else "below"
    place = "inside" if found.us_lower <= us <= found.us_upper else "outside"
    off = fmt.number(100 * abs(us / found.us - 1))
    return (
        f"{found.value} was predicted ({found.basis}); the measured median is {off} % {side} that, "
        f"{place} the 80 % interval."
    )


def golden_text(golden: BenchGolden) -> str:
    """How far an output is from its golden data."""
    samples = fmt.plural(golden.samples, "golden sample")
    if golden.exact:
        return f"{golden.output} is bit-exact with the simulator, {samples}."
    return (
        f"{golden.output} differs from the simulator by up to {fmt.number(golden.largest)} "
        f"{golden.unit} of {fmt.number(golden.span)}, {samples}."
    )


def parts_text(record: BenchRecord) -> str:
    """What head, call and tail of a classical package take, in medians."""
    parts = record.parts_ms
    assert parts is not None
    text = [figure(record, one) for one in (parts.encode, parts.call, parts.decode)]
    rows = fmt.plural(record.rows or 0, "row")
    return f"{rows} at once: encode {text[0]}, call {text[1]}, decode {text[2]} ({record.where})."


def answers_text(answers: BenchAnswers) -> str:
    """How far one output of a classical model is from ONNX Runtime's, on the golden rows."""
    rows, name = fmt.plural(answers.rows, "golden row"), answers.output
    if answers.labels:
        text = f"{name} is ONNX Runtime's in {fmt.integer(answers.equal)} of {rows}"
        if answers.ties:
            text += f", {fmt.plural(answers.ties, 'tie')}"
    elif answers.largest == 0:
        text = f"{name} is ONNX Runtime's to the bit, {rows}"
    else:
        text = (
            f"{name} is off from ONNX Runtime's by up to {fmt.number(answers.largest)} in "
            f"{fmt.number(answers.range)}, {rows}"
        )
    if answers.met is False:
        assert answers.limit is not None
        most = fmt.plural(round(answers.limit), "other row")
        if answers.mean_limit is not None:
            text += f", {answers.mean:.3g} in the mean"
            most = f"{answers.limit:.3g}, {answers.mean_limit:.3g} in the mean,"
        return f"{text}: WRONG, {most} at most."
    return f"{text}."


def facts(record: BenchRecord) -> Iterator[tuple[str, str]]:
    """Where and how it was timed: what makes a figure repeatable."""
    target, protocol, runtime = record.target, record.protocol, record.runtime
    yield "Board", f"{target.name} ({target.transport}), {target.host}"
    if target.soc is not None or target.soc_id is not None:
        yield "SoC", f"{target.soc or 'unknown'}, kernel id {target.soc_id or 'not reported'}"
    yield "System", f"{target.os}, kernel {target.kernel}, {target.machine}"
    yield "CPU", f"{target.cpu}, {target.cores or 'unknown'} cores"
    yield "Software", ", ".join(f"{name} {version}" for name, version in runtime.versions.items())
    if runtime.options:
        yield "Options", ", ".join(f"{key}={value}" for key, value in runtime.options.items())
    yield (
        "Protocol",
        f"{protocol.order}, {protocol.warmup} warm-up runs, at least {protocol.min_runs} runs and "
        f"{protocol.min_duration_s:g} s over {fmt.plural(protocol.repeats, 'repeat')}, "
        f"{protocol.cooldown_s:g} s of cool-down, {fmt.plural(protocol.threads, 'thread')}",
    )
    yield "Temperature and clocks", thermal_text(record)


def thermal_text(record: BenchRecord) -> str:
    """What the board reported of its temperature and clocks."""
    thermal = record.thermal
    if not thermal.before and thermal.throttled is None:
        return "not reported"
    parts = []
    if thermal.before:
        hottest = max(thermal.highest, key=lambda zone: thermal.highest[zone])
        parts.append(
            f"{hottest} {thermal.before[hottest]:.1f} °C before, "
            f"{thermal.highest[hottest]:.1f} °C at most"
        )
    if thermal.governors:
        parts.append(f"governor {', '.join(thermal.governors)}")
    throttled = {True: "throttled", False: "not throttled", None: "throttling not reported"}
    return ", ".join((*parts, throttled[thermal.throttled]))
