"""`snapq benchmark` measures a bundle."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapq.cli.completion import complete_targets
from snapq.cli.options import Bundle, Json, Runs, existing
from snapq.cli.output.errors import report_error, storage_warning
from snapq.cli.output.json import emit, error_values
from snapq.errors import SnapqError

if TYPE_CHECKING:
    from snapq.benchmarking.targets.base import Measurement


class Processor(StrEnum):
    """Where a board may run a bundle."""

    NPU = "npu"
    CPU = "cpu"


class BaselinePrecision(StrEnum):
    """How the float model runs that a bundle is compared with."""

    FLOAT32 = "float32"
    FP16 = "fp16"


def benchmark(
    bundle: Bundle,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="local, ssh://USER@HOST or a board; repeat it for several at once.",
            autocompletion=complete_targets,
        ),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="MODEL.onnx", help="The float model to measure against.")
    ] = None,
    baseline_precision: Annotated[
        BaselinePrecision,
        typer.Option(help="float32: the baseline runs on the CPU; fp16: on the board's NPU."),
    ] = BaselinePrecision.FLOAT32,
    allow: Annotated[
        list[Processor] | None,
        typer.Option(help="Where a board may run the bundle: npu (default), cpu; may be repeated."),
    ] = None,
    warmup: Annotated[
        int | None, typer.Option(min=0, help="Untimed runs: 10; 1 on an emulated board.")
    ] = None,
    min_runs: Annotated[
        int | None, typer.Option(min=1, help="Timed runs: 100; 3 on an emulated board.")
    ] = None,
    min_duration: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds of timed runs: 5; 0 on an emulated board."),
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Fresh processes: 2; 1 on an emulated board.")
    ] = None,
    cooldown: Annotated[float, typer.Option(min=0, help="Seconds between repeats.")] = 0.0,
    threads: Annotated[
        int, typer.Option(min=1, help="Threads of ONNX Runtime for what runs on the CPU.")
    ] = 1,
    forget: Annotated[
        bool, typer.Option("--no-history", help="Do not keep the result in the history.")
    ] = False,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> None:
    """Measure a bundle's latency on this machine's CPU or on boards.

    A tree ensemble, SVM or linear model is timed from rows to answers, beside its model for the
    CPU; ends with 1 where its answers to the golden rows are wrong.

    Example: snapq benchmark latest --target ssh://root@192.168.1.20
    """
    from snapq import api
    from snapq.cli.output import bench_tables
    from snapq.cli.output.progress import Bars, Lines
    from snapq.config import BenchmarkConfig

    targets = list(dict.fromkeys(target or ["local"]))
    asked = {
        "warmup": warmup,
        "min_runs": min_runs,
        "min_duration_s": min_duration,
        "repeats": repeats,
    }
    protocol = BenchmarkConfig(
        **{key: value for key, value in asked.items() if value is not None},
        cooldown_s=cooldown,
        threads=threads,
        baseline=baseline_precision.value,
        allow=tuple(dict.fromkeys(allow)) if allow else None,
    )
    done = api.benchmark_all(
        existing(api.find_bundle(bundle, runs)),
        targets,
        baseline=existing(baseline) if baseline else None,
        protocol=protocol,
        progress=Bars() if len(targets) == 1 else Lines(),
    )
    if isinstance(done[0], SnapqError) and len(done) == 1:
        raise done[0]
    records = [one for r in done if not isinstance(r, SnapqError) for one in r.records]
    if not forget:
        with storage_warning("the history was not written"):
            api.remember(records)
    if json:
        emit([values for result in done for values in _values(result)])
    else:
        for result in done:
            if isinstance(result, SnapqError):
                report_error(result)
            else:
                bench_tables.show(result.records)
    if any(isinstance(result, SnapqError) for result in done):
        raise typer.Exit(2)
    if any(record.answers_wrongly for record in records):
        raise typer.Exit(1)


def _values(result: Measurement | SnapqError) -> list[dict[str, Any]]:
    if isinstance(result, SnapqError):
        return [{"error": error_values(result)}]
    return [record.to_json() for record in result.records]
