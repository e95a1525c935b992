"""ONNX Runtime on the host's CPU: the one place that imports it and opens CPU sessions.

ONNX Runtime's telemetry is switched off before the first import, for this process and for every
process that it starts.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from snapq.errors import InstallError, ModelError

if TYPE_CHECKING:
    import onnxruntime

TELEMETRY_OFF = {"ORT_DISABLE_TELEMETRY": "1"}


def import_onnxruntime() -> ModuleType:
    """Imports ONNX Runtime with its telemetry off.

    Raises:
        InstallError: onnxruntime is not installed or does not load.
    """
    os.environ.update(TELEMETRY_OFF)
    try:
        import onnxruntime
    except ImportError as error:
        raise InstallError(
            f"ONNX Runtime cannot be imported ({error}).", hint="Run: pip install onnxruntime"
        ) from error
    onnxruntime.set_default_logger_severity(3)
    return onnxruntime  # type: ignore[no-any-return]


def processors() -> int:
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def cpu_session(
    model: Path | bytes, *, threads: int = 1, optimize: bool = True, spin: bool = True
) -> onnxruntime.InferenceSession:
    """Opens a model on the CPU execution provider.

    Args:
        model: path of an ONNX file, or a serialized model without external data.
        threads: intra-op threads.
        optimize: whether ONNX Runtime may rewrite the graph; False computes each node as written.
        spin: whether threads without work look for some all the time. That saves microseconds a
            node where nobody else wants the cores, and takes twice as long where somebody does.

    Raises:
        ModelError: ONNX Runtime does not accept the model.
    """
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Idle threads would go on spinning, and slow down whatever else this machine measures.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if not spin:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = str(model) if isinstance(model, Path) else model
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        where = str(model) if isinstance(model, Path) else None
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"ONNX Runtime does not accept the model: {reason}", where=where
        ) from error
