"""What a notebook user types, and what the command line calls.

Every function takes paths or plain values, raises `SnapqError` kinds, and imports what is heavy
only when it is called. No file here has the name of a function: a submodule that is imported later
would take the function's place.
"""

from __future__ import annotations

from snapq.api.analysis import analyze
from snapq.api.boards import clean_board, probe_board, set_up_board
from snapq.api.comparing import calibrations, compare, history, import_measurements
from snapq.api.devices import find_device, list_devices
from snapq.api.encodings import ExportedEncodings, export_encodings
from snapq.api.estimation import Predicted, estimate, estimate_batches, predict
from snapq.api.housekeeping import cache_contents, clean
from snapq.api.initialization import init
from snapq.api.inspection import inspect, inspect_compiled
from snapq.api.joining import Worked, search_worker
from snapq.api.language_model_frontier import llm_frontier
from snapq.api.language_model_packages import llm_check, llm_estimate, llm_package
from snapq.api.language_model_quantization import llm_evaluate, llm_quantize
from snapq.api.language_model_results import (
    CheckedPackage,
    Evaluated,
    Generated,
    LanguageModel,
    PackagedLanguageModel,
    QuantizedLanguageModel,
    SpeedEstimate,
)
from snapq.api.language_models import llm_generate, llm_init
from snapq.api.measuring import benchmark, benchmark_all
from snapq.api.packaging import Package, package
from snapq.api.pruning import PrunedModel, prune
from snapq.api.public import public
from snapq.api.quantization import quantize
from snapq.api.running import (
    RUNS,
    Run,
    check,
    find_bundle,
    find_run,
    latest_run,
    open_run,
    plan,
    run,
    validate,
    write_report,
)
from snapq.api.searching import Search, open_search, pick, search, write_search_page
from snapq.api.shared import QuantizedModel
from snapq.api.simulation import simulate, simulate_file
from snapq.api.sweeping import Sweep, sweep
from snapq.benchmarking.history.store import remember
from snapq.config import reading
from snapq.report.progress import ProgressBars, Verbosity

load = public(reading.load_deployment)

__all__ = [
    "RUNS",
    "CheckedPackage",
    "Evaluated",
    "ExportedEncodings",
    "Generated",
    "LanguageModel",
    "Package",
    "PackagedLanguageModel",
    "Predicted",
    "ProgressBars",
    "PrunedModel",
    "QuantizedLanguageModel",
    "QuantizedModel",
    "Run",
    "Search",
    "SpeedEstimate",
    "Sweep",
    "Verbosity",
    "Worked",
    "analyze",
    "benchmark",
    "benchmark_all",
    "cache_contents",
    "calibrations",
    "check",
    "clean",
    "clean_board",
    "compare",
    "estimate",
    "estimate_batches",
    "export_encodings",
    "find_bundle",
    "find_device",
    "find_run",
    "history",
    "import_measurements",
    "init",
    "inspect",
    "inspect_compiled",
    "latest_run",
    "list_devices",
    "llm_check",
    "llm_estimate",
    "llm_evaluate",
    "llm_frontier",
    "llm_generate",
    "llm_init",
    "llm_package",
    "llm_quantize",
    "load",
    "open_run",
    "open_search",
    "package",
    "pick",
    "plan",
    "predict",
    "probe_board",
    "prune",
    "quantize",
    "remember",
    "run",
    "search",
    "search_worker",
    "set_up_board",
    "simulate",
    "simulate_file",
    "sweep",
    "validate",
    "write_report",
    "write_search_page",
]
