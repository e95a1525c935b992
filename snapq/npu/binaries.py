"""What compiled binaries say of themselves."""

from snapq.npu.qnn.binary import BinaryInfo, inspect_binary, inspect_container
from snapq.npu.qnn.containers import is_container

__all__ = ["BinaryInfo", "inspect_binary", "inspect_container", "is_container"]
