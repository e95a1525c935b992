"""snapq: from a trained ONNX model to a verified package for the Snapdragon NPU.

    import snapq

    run = snapq.run(snapq.load("deploy.yaml"))
    model = snapq.quantize("model.onnx", calibration=samples)
    snapq.estimate(model, "qcs9075").us

Importing this package imports nothing heavy; each function does when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snapq.version import __version__

if TYPE_CHECKING:
    from snapq.api import (
        Package,
        Predicted,
        ProgressBars,
        PrunedModel,
        QuantizedModel,
        Run,
        Search,
        Verbosity,
        analyze,
        benchmark,
        cache_contents,
        clean,
        compare,
        estimate,
        export_encodings,
        find_device,
        history,
        init,
        inspect,
        list_devices,
        load,
        open_run,
        open_search,
        package,
        pick,
        plan,
        predict,
        probe_board,
        prune,
        quantize,
        run,
        search,
        search_worker,
        simulate,
        sweep,
        validate,
    )
    from snapq.errors import SnapqError

__all__ = [
    "Package",
    "Predicted",
    "ProgressBars",
    "PrunedModel",
    "QuantizedModel",
    "Run",
    "Search",
    "SnapqError",
    "Verbosity",
    "__version__",
    "analyze",
    "benchmark",
    "cache_contents",
    "clean",
    "compare",
    "estimate",
    "export_encodings",
    "find_device",
    "history",
    "init",
    "inspect",
    "list_devices",
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
    "run",
    "search",
    "search_worker",
    "simulate",
    "sweep",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'snapq' has no attribute {name!r}")
    from snapq import api, errors

    return getattr(errors if name == "SnapqError" else api, name)


def __dir__() -> list[str]:
    return sorted(__all__)
