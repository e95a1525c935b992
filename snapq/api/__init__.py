"""What a notebook user types, and what the command line calls.

Every function takes paths or plain values, raises `SnapqError` kinds, and imports what is heavy
only when it is called.
"""

from __future__ import annotations

from snapq.api.boards import (
    benchmark,
    benchmark_all,
    clean_board,
    compare,
    history,
    probe_board,
    remember,
    set_up_board,
)
from snapq.api.models import export_encodings, prune, quantize
from snapq.api.questions import (
    analyze,
    estimate,
    inspect,
    inspect_compiled,
    simulate,
    simulate_file,
)
from snapq.api.runs import (
    RUNS,
    Run,
    Sweep,
    check,
    init,
    latest_run,
    load,
    open_run,
    plan,
    run,
    sweep,
    write_report,
)
from snapq.api.shared import ExportedEncodings, PrunedModel, QuantizedModel

__all__ = [
    "RUNS",
    "ExportedEncodings",
    "PrunedModel",
    "QuantizedModel",
    "Run",
    "Sweep",
    "analyze",
    "benchmark",
    "benchmark_all",
    "check",
    "clean_board",
    "compare",
    "estimate",
    "export_encodings",
    "history",
    "init",
    "inspect",
    "inspect_compiled",
    "latest_run",
    "load",
    "open_run",
    "plan",
    "probe_board",
    "prune",
    "quantize",
    "remember",
    "run",
    "set_up_board",
    "simulate",
    "simulate_file",
    "sweep",
    "write_report",
]
