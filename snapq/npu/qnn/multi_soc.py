"""One compiled model for several SoCs: a container that holds a context binary for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snapq.devices.profiles import DeviceProfile
from snapq.errors import ConfigError, QnnError
from snapq.npu.qnn import binary, containers, model_files, sessions, tasks, workers
from snapq.npu.qnn.compile_job import CONTEXT_NAME, OUTPUT, context_entries
from snapq.npu.qnn.options import DEFAULTS, CompileOptions
from snapq.storage import atomic_folder


def compile_multi_soc(
    model: Path, devices: Sequence[DeviceProfile], out: Path, options: CompileOptions = DEFAULTS
) -> Path:
    """Compiles a model for several devices into one folder, the same bytes for the same model.

    Each device plans with its own VTCM; `options.vtcm_mb` cannot be given.

    Returns:
        `model_ctx.onnx`, the file to load; the container stands beside it.

    Raises:
        SnapqError: as `npu.Model`; ConfigError also for fewer than two devices or one given twice,
            QnnError where a device is missing in what the compiler wrote.
    """
    ids = [device.soc_id for device in devices]
    if len(set(ids)) < 2 or len(set(ids)) != len(ids):
        raise ConfigError(
            "A container needs at least two different devices.",
            where="devices",
            hint="Name each device once.",
        )
    if options.vtcm_mb is not None:
        raise ConfigError(
            "In a container each device plans with its own VTCM.",
            where="vtcm_mb",
            hint="Leave it out.",
        )
    for device in devices:
        options.provider_options(device)  # what one of them cannot do is refused
    files = model_files.read(model)
    model_files.check_compilable(files, fp16=options.fp16)
    request = _request(model.name, devices, options)
    with atomic_folder(out) as folder, workers.Worker(out.parent) as worker:
        model_files.stage(files, worker.scratch)
        written = worker.scratch / OUTPUT
        written.mkdir()
        worker.call(tasks.read_back, request)
        _check(written, ids, model)
        model_files.lower_ir_version(written / CONTEXT_NAME, files.ir_version)
        for path in sorted(written.iterdir()):
            path.replace(folder / path.name)
    return out / CONTEXT_NAME


def _request(
    shown: str, devices: Sequence[DeviceProfile], options: CompileOptions
) -> sessions.Request:
    provider = {"soc_model": ",".join(str(device.soc_id) for device in devices)}
    sizes = [device.vtcm_mb for device in devices]
    if all(sizes):
        provider["vtcm_mb"] = ",".join(map(str, sizes))
    request = sessions.request(
        model_files.STAGED_NAME,
        devices[0],
        options,
        shown=shown,
        provider=provider,
        entries=context_entries(embed=False),
    )
    if not all(sizes):  # the compiler knows the size of each SoC; a list would need all of them
        request.provider.pop("vtcm_mb", None)
    return request


def _check(folder: Path, ids: Sequence[int], model: Path) -> None:
    """Erases the times in the container, and finds every device in it."""
    found = sorted(folder.glob("*.bin"))
    if len(found) != 1:
        raise QnnError(
            f"The compiler wrote {len(found)} containers, not one.",
            where=model.name,
            hint="`snapq inspect` shows whether the model falls into several parts on the NPU.",
        )
    containers.erase_times(found[0])
    held = {info.soc_id for info in binary.inspect_container(found[0])}
    missing = [str(soc_id) for soc_id in ids if soc_id not in held]
    if missing:
        raise QnnError(
            f"The compiler left out SoC {', '.join(missing)}.",
            where=model.name,
            hint="Compile for it alone.",
        )
