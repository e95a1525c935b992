"""From an address to an open connection."""

from __future__ import annotations

from snapq.devices.transports.address import SshAddress
from snapq.devices.transports.base import Transport


def connect(address: SshAddress) -> Transport:
    """Opens a connection to a board.

    Raises:
        HostKeyError: the host key is unknown or changed.
        DeviceError: there is no way to the board, or it does not let us in.
        ConfigError: `~/.ssh/config` cannot be understood.
    """
    from snapq.devices.transports.ssh import SshTransport

    return SshTransport(address)
