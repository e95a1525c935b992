"""Whether Qualcomm's runtime is here, and what its error codes mean.

Light: it must work where other libraries are missing or damaged, for `snapq doctor`.
"""

from snapq.npu.qnn.availability import Availability, require, status
from snapq.npu.qnn.catalogue import explain, lookup

__all__ = ["Availability", "explain", "lookup", "require", "status"]
