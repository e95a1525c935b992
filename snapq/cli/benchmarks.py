"""Commands that measure: benchmark."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapq.cli.app import Json, emit, error_values, existing, report_error
from snapq.errors import SnapqError

if TYPE_CHECKING:
    from snapq.devices.targets.base import Measurement


class Processor(StrEnum):
    """Where a board may run a bundle."""

    NPU = "npu"
    CPU = "cpu"


def benchmark(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle directory.")],
    target: Annotated[
        list[str] | None,
        typer.Option(help="local, ssh://USER@HOST or a board; repeat it for several at once."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="MODEL.onnx", help="The float model to measure against."),
    ] = None,
    allow: Annotated[
        list[Processor] | None,
        typer.Option(help="Where a board may run the bundle: npu (default), cpu; may be repeated."),
    ] = None,
    warmup: Annotated[int, typer.Option(min=0)] = 10,
    min_runs: Annotated[int, typer.Option(min=1)] = 100,
    min_duration: Annotated[float, typer.Option(min=0, help="Seconds of timed runs.")] = 5.0,
    repeats: Annotated[int, typer.Option(min=1, help="Fresh processes.")] = 2,
    cooldown: Annotated[float, typer.Option(min=0, help="Seconds between repeats.")] = 0.0,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    json: Json = False,
) -> None:
    """Measure a bundle's latency on this machine's CPU or on boards.

    Example: snapq benchmark runs/NAME/TIME/bundle --target ssh://root@192.168.1.20
    """
    from snapq import api
    from snapq.cli import bench_tables
    from snapq.cli.display import Bars, Lines
    from snapq.config import BenchmarkConfig

    targets = list(dict.fromkeys(target or ["local"]))
    protocol = BenchmarkConfig(
        warmup=warmup,
        min_runs=min_runs,
        min_duration_s=min_duration,
        repeats=repeats,
        cooldown_s=cooldown,
        threads=threads,
        allow=tuple(dict.fromkeys(allow)) if allow else None,
    )
    done = api.benchmark_all(
        existing(bundle),
        targets,
        baseline=existing(baseline) if baseline else None,
        protocol=protocol,
        progress=Bars() if len(targets) == 1 else Lines(),
    )
    if json:
        emit([values for result in done for values in _values(result)])
    for result in done:
        if isinstance(result, SnapqError):
            report_error(result)
        elif not json:
            bench_tables.show(result.records)
    if any(isinstance(result, SnapqError) for result in done):
        raise typer.Exit(2)


def _values(result: Measurement | SnapqError) -> list[dict[str, Any]]:
    if isinstance(result, SnapqError):
        return [{"error": error_values(result)}]
    return [record.to_json() for record in result.records]


COMMANDS = (benchmark,)
