"""From an address to an open connection."""

from __future__ import annotations

from importlib import import_module

from snapq.boards.transports.address import Address
from snapq.boards.transports.base import Transport


def connect(address: Address) -> Transport:
    """Opens a connection to a board.

    Raises:
        HostKeyError: the host key is unknown or changed.
        DeviceError: there is no way to the board, or it does not let us in.
        InstallError: the address needs a program that is missing.
        ConfigError: `~/.ssh/config` cannot be understood.
    """
    module, _, name = address.transport.partition(":")
    transport: Transport = getattr(import_module(module), name)(address)
    return transport
