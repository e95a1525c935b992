"""Tables on standard output. Names of nodes, tensors and files are never read as markup."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from snapq.cli.output.off_npu import MOST_GROUPS, cut_lines, off_npu_rows
from snapq.report.console import KEPT, console
from snapq.report.formatting import plain, plural

if TYPE_CHECKING:
    from snapq.api.doctor import Check
    from snapq.api.inspection import Inspection
    from snapq.boards.manage import Probed
    from snapq.devices.profiles import DeviceProfile
    from snapq.npu.binaries import BinaryInfo
    from snapq.pipeline.plan import Plan
    from snapq.records import AnalysisRecord, EstimateRecord, PredictionRecord


_MOST_ROWS = 100
"""Longer tables end there; `--json` has all of them."""


def output_console() -> Console:
    """The console for results: standard output."""
    return console()


def show_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    whole: Collection[str] = (),
) -> None:
    """Prints a table; every cell is plain text. Columns that are `whole` are not wrapped."""
    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in whole)
    for row in rows:
        table.add_row(*(Text(plain(str(cell), keep=KEPT)) for cell in row))
    output_console().print(table)


def show_rest(count: int) -> None:
    """Says how many rows a table left out."""
    if count > _MOST_ROWS:
        show_line(f"  … and {count - _MOST_ROWS:,} more; `--json` has all of them.")


def show_line(text: str) -> None:
    """Prints one line of plain text."""
    output_console().print(Text(plain(text)), soft_wrap=True)


def show_plan(plan: Plan) -> None:
    """Prints what a run would do."""
    shapes = ", ".join(f"{name} {shape}" for name, shape in plan.inputs.items())
    show_line(f"{plan.name}: {plan.model} ({shapes})")
    for line in plan.boundary:
        show_line(f"  {line}")
    show_table(
        "Stages",
        ("stage", "options", "state"),
        (
            (
                f"{stage.name} for {', '.join(stage.devices)}" if stage.devices else stage.name,
                ", ".join(f"{key}: {value}" for key, value in stage.options.items()),
                "kept, will be reused" if stage.cached else "will run",
            )
            for stage in plan.stages
        ),
    )
    show_table(
        "Data",
        ("use", "samples", "what"),
        ((d.use, d.samples, d.description + (" (RANDOM)" if d.random else "")) for d in plan.data),
    )
    show_table(
        "Devices",
        ("device", "SoC id", "architecture", "estimate"),
        (
            (t.device, t.soc_id, f"v{t.architecture}", _estimate_source(t.device, t.estimated_on))
            for t in plan.devices
        ),
    )
    for key, value in plan.gates.items():
        show_line(f"gate {key}: {value}")
    if plan.benchmark:
        show_line("benchmark: " + ", ".join(f"{k} {v}" for k, v in plan.benchmark.items()))


def _estimate_source(device: str, estimated_on: str) -> str:
    return "its own" if device == estimated_on else f"none; {estimated_on}'s is shown"


def show_devices(devices: Sequence[DeviceProfile]) -> None:
    """Prints a line a device."""
    from snapq.prediction.coverage import in_short
    from snapq.prediction.table import packaged

    table = packaged()
    show_table(
        "",
        (
            "device",
            "marketing name",
            "SoC id",
            "arch",
            "VTCM MB",
            "system",
            "estimate",
            "prediction",
            "precisions",
        ),
        (
            (
                device.name,
                device.marketing,
                device.soc_id,
                f"v{device.architecture}",
                device.vtcm_mb or "not published",
                " ".join(device.os) or "not known",
                "yes" if device.has_estimate else "no",
                in_short(table, device),
                " ".join(device.precisions),
            )
            for device in devices
        ),
    )


def show_device(device: DeviceProfile) -> None:
    """Prints everything that is known of one device, with the source of each fact."""
    from snapq.prediction.coverage import by_precision, sentence
    from snapq.prediction.table import packaged

    table = packaged()
    rows = (
        ("name", device.name),
        ("marketing", device.marketing),
        ("aliases", ", ".join(device.aliases) or "none"),
        ("soc_id", device.soc_id),
        ("architecture", f"v{device.architecture}"),
        ("vtcm_mb", device.vtcm_mb or "not published"),
        ("precisions", ", ".join(device.precisions)),
        ("os", ", ".join(device.os) or "not known"),
        ("has_estimate", "yes" if device.has_estimate else "no"),
    )
    show_table(
        "", ("fact", "value", "source"), ((k, v, device.sources.get(k, "")) for k, v in rows)
    )
    fits = by_precision(table, device)
    for name, found in fits.items():
        for fit in found:
            show_line(f"Latency predicted at {name} {sentence(fit)}.")
    if fits:
        show_line(f"Fitted to {table.made_with.get('figures', 'public latencies')}.")
    else:
        show_line(f"No prediction: no latencies of {device.name} are public.")


def show_board(board: Probed) -> None:
    """Prints what a board is, and what it lacks."""
    facts = board.facts
    show_line(f"{facts.system.host}: {facts.system.os}, {facts.system.kernel}")
    show_table(
        "",
        ("", "what", "found", "hint"),
        (
            ("ok" if need.ok else "--", need.name, need.found, "" if need.ok else need.hint)
            for need in board.requirements
        ),
    )
    features = ", ".join(
        f for f in facts.processor.features if f in ("asimddp", "i8mm", "bf16", "sve", "avx2")
    )
    show_line(f"CPU features that count here: {features or 'none reported'}")


def show_checks(checks: Sequence[Check]) -> None:
    """Prints what doctor found."""
    show_table(
        "",
        ("", "check", "found", "hint"),
        (("ok" if c.ok else "BAD", c.name, c.found, c.hint or "") for c in checks),
    )


def show_estimate(estimate: EstimateRecord) -> None:
    """Prints an estimate with its bounds."""
    show_line(
        f"{estimate.us:,.0f} us estimated on {estimate.estimated_on} ({estimate.label}), "
        f"between {estimate.us_lower:,.0f} and {estimate.us_upper:,.0f} us; "
        f"{estimate.cycles:,} cycles. Accelerator time only."
    )
    if estimate.label == "fp16":
        show_line("Of the model as given; `snapq run` prepares it first, which may make it faster.")
    if estimate.batch > 1:
        show_line(f"A call takes {estimate.batch} samples, {estimate.sample_us:,.1f} us each.")
    if estimate.estimated_on != estimate.device:
        show_line(
            f"{estimate.device} has no estimate; {estimate.estimated_on} is the nearest "
            "architecture that has one."
        )
    if estimate.missing_ops:
        show_line(f"{estimate.missing_ops} operators have no cost: the figure is too low.")
    show_table("DDR traffic", ("kind", "bytes"), sorted(estimate.ddr_bytes.items()))


def show_batches(estimates: Sequence[EstimateRecord]) -> None:
    """Prints what a sample takes by how many of them a call takes."""
    alone = next((one.sample_us for one in estimates if one.batch == 1), None)
    device, on = estimates[0].device, estimates[0].estimated_on
    show_table(
        f"Estimated on {on} ({estimates[0].label}); accelerator time only, in us",
        ("samples of a call", "a call", "a sample", "of a sample alone"),
        (
            (
                one.batch,
                f"{one.us:,.0f}",
                f"{one.sample_us:,.1f}",
                "" if alone is None else f"{one.sample_us / alone:.2f}",
            )
            for one in estimates
        ),
    )
    if device != on:
        show_line(f"{device} has no estimate; {on} is the nearest architecture that has one.")
    if any(one.missing_ops for one in estimates):
        show_line("Operators have no cost in some of these: such figures are too low.")


def show_prediction(found: PredictionRecord, problem: str | None = None) -> None:
    """Prints what a board is predicted to take, or why there is no prediction."""
    chip = "" if found.us is None else f"A board with {found.device}: "
    show_line(f"{chip}{found.sentence}")
    for text in (*found.remarks, *([problem] if problem else [])):
        show_line(f"  {text}")


def show_analysis(analysis: AnalysisRecord, most: int) -> None:
    """Prints what each of the worst nodes and tensors costs alone."""
    on = f" on {analysis.device}" if analysis.where == "simulated" else ""
    random = ", RANDOM INPUTS" if analysis.random_inputs else ""
    show_line(
        f"{analysis.model} at {analysis.precision}: {analysis.sqnr_db:.1f} dB with all quantized, "
        f"{analysis.where}{on}, {analysis.samples} of {analysis.dataset}{random}"
    )
    estimate = analysis.estimate
    if estimate is not None:
        show_line(
            f"{estimate.us:,.0f} µs estimated on {estimate.estimated_on} ({estimate.us_lower:,.0f} "
            f"to {estimate.us_upper:,.0f}), the column `µs` divides it among the nodes"
        )
    for kind in dict.fromkeys(item.kind for item in analysis.items):
        items = sorted((i for i in analysis.items if i.kind == kind), key=lambda i: i.sqnr_db)
        show_table(
            f"{kind.capitalize()}s that lose most SQNR when quantized alone ({len(items)} in all)",
            (kind, "operator", f"dB {analysis.where}", "µs estimated", "why"),
            (
                (
                    item.name,
                    item.op_type,
                    f"{item.sqnr_db:.1f}",
                    "" if item.us is None else f"{item.us:.1f}",
                    item.cause or "",
                )
                for item in items[:most]
            ),
        )
    for note in analysis.notes:
        show_line(f"  {note}")


def show_inspection(inspection: Inspection, *, passes: bool = False) -> None:
    """Prints what will run where, and why; with `passes`, also what they left alone."""
    show_line(
        f"{inspection.model}: opset {inspection.opset}, {plural(inspection.nodes, 'node')}, "
        f"{inspection.parameters:,} parameters, {inspection.macs:,} MACs; "
        f"{inspection.prepared_nodes} nodes "
        + ("for the NPU" if inspection.estimators else "after prepare")
    )
    for note in inspection.notes:
        show_line(f"  {note}")
    if inspection.estimators:
        show_table(
            "Estimators",
            ("node", "what", "runs on"),
            ((one.name, one.what, one.runs_on.upper()) for one in inspection.estimators),
        )
    if inspection.passes:
        show_table("Passes of prepare", ("pass", "times"), inspection.passes.items())
    if passes:
        show_table(
            "Nearly matched by a pass, and left alone",
            ("pass", "node", "why"),
            ((s["pass_name"], s["node"], s["reason"]) for s in inspection.skipped[:_MOST_ROWS]),
        )
        show_rest(len(inspection.skipped))
    if inspection.findings:
        show_table(
            "It came quantized; `snapq run` repairs this",
            ("node", "rule", "what", "hint"),
            (
                (f["node"], f["rule"], f["message"], f["hint"])
                for f in inspection.findings[:_MOST_ROWS]
            ),
        )
        show_rest(len(inspection.findings))
    show_table(
        f"On {inspection.device} (v{inspection.architecture})",
        ("precision", "NPU nodes", "CPU nodes", "partitions", "remark"),
        ((p.precision, p.npu, p.cpu, p.partitions, p.remark or "") for p in inspection.placements),
    )
    for placement in inspection.placements:
        if placement.cpu_nodes:
            rows = tuple(off_npu_rows(placement))
            show_table(
                f"Not on the NPU at {placement.precision}",
                ("nodes", "operators", "why", "hint"),
                rows[:MOST_GROUPS],
            )
            if len(rows) > MOST_GROUPS:
                show_line(f"  … and {len(rows) - MOST_GROUPS} more reasons; `--json` has all.")
    if inspection.advice:
        show_line(inspection.advice)
    if inspection.cut is not None:
        for line in cut_lines(inspection.cut):
            show_line(line)


def show_binaries(binaries: Iterable[BinaryInfo]) -> None:
    """Prints what compiled files say of themselves."""
    for binary in binaries:
        name = f"{binary.member}: " if binary.member else ""
        show_line(
            f"{name}QAIRT {binary.build}, SoC id {binary.soc_id}, v{binary.architecture}, "
            f"{binary.bytes:,} bytes"
        )
        for graph in binary.graphs:
            tensors = (
                *(("input", tensor) for tensor in graph.inputs),
                *(("output", tensor) for tensor in graph.outputs),
            )
            show_table(
                f"{graph.name}: VTCM {graph.vtcm_mb} MB, optimization {graph.optimization_level}",
                ("", "tensor", "type", "shape", "scale", "zero point"),
                (
                    (side, t.name, t.dtype, list(t.shape), _few(t.scale), _few(t.zero_point))
                    for side, t in tensors
                ),
            )


def _few(values: Sequence[float]) -> str:
    """One value, or how many there are."""
    if len(values) == 1:
        return f"{values[0]:.6g}"
    return f"{len(values)} values" if values else ""
