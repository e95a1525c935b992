"""From an address to an open connection."""

from __future__ import annotations

from snapq.devices.transports.address import AdbAddress, Address
from snapq.devices.transports.base import Transport


def connect(address: Address) -> Transport:
    """Opens a connection to a board.

    Raises:
        HostKeyError: the host key is unknown or changed.
        DeviceError: there is no way to the board, or it does not let us in.
        InstallError: the address needs a program that is missing.
        ConfigError: `~/.ssh/config` cannot be understood.
    """
    if isinstance(address, AdbAddress):
        from snapq.devices.transports.adb import AdbTransport

        return AdbTransport(address)
    from snapq.devices.transports.ssh import SshTransport

    return SshTransport(address)
