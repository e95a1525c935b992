"""DLC export: the model as Qualcomm's own tools (QAIRT) read it."""

from __future__ import annotations

from pathlib import Path

from snapq.devices.profiles import DeviceProfile
from snapq.errors import QnnError
from snapq.npu.qnn import availability, containers, model_files, sessions, tasks, workers
from snapq.npu.qnn.options import DEFAULTS, CompileOptions
from snapq.storage import atomic_path

_FOLDER = "dlc"


def export_dlc(
    model: Path, device: DeviceProfile, out: Path, options: CompileOptions = DEFAULTS
) -> Path:
    """Writes a model that runs whole on the NPU as one DLC file, the same bytes for the same model.

    Raises:
        SnapqError: as `npu.Model`; QnnError also where the model falls into several parts.
    """
    files = model_files.read(model)
    model_files.check_compilable(files, fp16=options.fp16)
    request = sessions.request(
        model_files.STAGED_NAME,
        device,
        options,
        shown=model.name,
        provider={
            "dump_qnn_ir_dlc": "1",
            "dump_qnn_ir_dlc_dir": _FOLDER,
            "qnn_ir_backend_path": str(availability.library("libQnnIr")),
        },
    )
    with atomic_path(out) as target, workers.Worker() as worker:
        model_files.stage(files, worker.scratch)
        (worker.scratch / _FOLDER).mkdir()
        worker.call(tasks.read_back, request)
        found = sorted((worker.scratch / _FOLDER).glob("*.dlc"))
        if len(found) != 1:
            raise QnnError(
                f"The model falls into {len(found)} parts on the NPU, and a DLC holds one.",
                where=model.name,
                hint="`snapq inspect` shows what splits it.",
            )
        containers.erase_times(found[0])
        target.write_bytes(found[0].read_bytes())
    return out
