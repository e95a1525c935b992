"""Sessions of ONNX Runtime on the CPU and on the NPU, and what they cost."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from pathlib import Path
from typing import Any

from .wire import FailedError

__all__ = ["drop_from_cache", "memory", "open_session", "placement_of", "timed", "versions"]

_PROVIDER = "QNNExecutionProvider"


def open_session(model: Path, fallback: dict[str, Any], protocol: dict[str, Any]) -> Any:
    """A session on the fallback's processor, with its placement recorded."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = protocol["threads"]
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if not fallback["npu"]:
        options.log_severity_level = 3
        # Idle threads would go on spinning, and slow down whatever else is measured here.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    import onnxruntime_qnn

    if not any(device.ep_name == _PROVIDER for device in ort.get_ep_devices()):
        ort.register_execution_provider_library(_PROVIDER, onnxruntime_qnn.get_library_path())
    devices = [device for device in ort.get_ep_devices() if device.ep_name == _PROVIDER]
    if not devices:
        raise FailedError("The QNN execution provider finds no device that it can run on here.")
    npu = [one for one in devices if one.device.type == ort.OrtHardwareDeviceType.NPU]
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options.add_provider_for_devices((npu or devices)[:1], fallback["options"])
    return ort.InferenceSession(str(model), options, enable_fallback=0)


def placement_of(session: Any, npu: bool) -> dict[str, Any]:
    """How many nodes run where; None where this ONNX Runtime cannot tell."""
    ask = getattr(session, "get_provider_graph_assignment_info", None)
    if ask is None:
        return {"npu": None if npu else 0, "cpu": None, "partitions": None, "cpu_nodes": []}
    parts = list(ask())
    nodes = [(part.ep_name == _PROVIDER, node) for part in parts for node in part.get_nodes()]
    off = [node for on_npu, node in nodes if not on_npu]
    return {
        "npu": len(nodes) - len(off),
        "cpu": len(off),
        "partitions": len(parts) if npu else None,
        "cpu_nodes": [[node.name[:200], node.op_type[:100]] for node in off[:200]] if npu else [],
    }


def versions(npu: bool) -> dict[str, str]:
    """Versions of what runs a model."""
    import numpy as np
    import onnxruntime as ort

    found = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": ort.__version__,
    }
    if npu:
        from importlib import metadata

        found["onnxruntime-qnn"] = metadata.version("onnxruntime-qnn")
    return found


def drop_from_cache(folder: Path, files: list[list[Any]]) -> None:
    """Asks the kernel to forget the files, so that the first load reads them from the disk."""
    for path, _, _ in files:
        with contextlib.suppress(OSError, AttributeError), (folder / path).open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def memory(field: str) -> int:
    """A line of this process's memory in bytes; `ru_maxrss` counts what the parent held too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def timed(work: Any) -> tuple[float, Any]:
    """How long something takes in ms, and what it gives."""
    started = time.perf_counter_ns()
    result = work()
    return (time.perf_counter_ns() - started) / 1e6, result
