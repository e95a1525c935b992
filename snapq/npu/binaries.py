"""What compiled binaries say of themselves."""

from pathlib import Path

from snapq.devices.profiles import DeviceProfile
from snapq.errors import DeviceError
from snapq.npu.qnn import model_files
from snapq.npu.qnn.binary import BinaryInfo, inspect_binary, inspect_container
from snapq.npu.qnn.containers import is_container

__all__ = ["BinaryInfo", "check_soc", "inspect_binary", "inspect_container", "is_container"]


def check_soc(model: Path, device: DeviceProfile) -> None:
    """Refuses a compiled model whose binary was made for another SoC than the device's.

    Raises:
        DeviceError: it was; both are named.
        QnnError: the binary is damaged.
    """
    files = model_files.read(model)
    if not files.compiled or files.container:
        return
    for name in files.beside:
        path = files.path.parent / name
        if path.suffix != ".bin":
            continue
        made_for = inspect_binary(path).soc_id
        if made_for not in (None, device.soc_id):
            raise DeviceError(
                f"The binary was compiled for SoC {made_for}, and {device.name} is SoC "
                f"{device.soc_id}.",
                where=str(path),
                hint="Name the device that it was compiled for; `snapq devices` lists the numbers.",
            )
