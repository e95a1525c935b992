"""Connects to a host, checks its key and logs in; through jump hosts where the settings say so."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from typing import Any

import paramiko

from snapq.boards.transports import host_keys
from snapq.boards.transports.lines import readable
from snapq.boards.transports.ssh_secrets import Login, logins
from snapq.boards.transports.ssh_settings import SshSettings
from snapq.errors import DeviceError, SnapqError

_LOGIN_TIMEOUT_S = 30
_FAST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")


def log_in(settings: SshSettings, stack: ExitStack) -> paramiko.Transport:
    """Opens an authenticated connection, which `stack` closes.

    Raises:
        HostKeyError: the host key is unknown or changed.
        DeviceError: there is no way to the host, or it does not let us in.
    """
    known = host_keys.load_known(settings)
    try:
        transport = paramiko.Transport(_way(settings, stack))
        stack.callback(transport.close)
        transport.banner_timeout = settings.connect_timeout_s
        options = transport.get_security_options()
        # These need no hash of their own: pushes are twice as fast.
        options.ciphers = tuple(sorted(options.ciphers, key=lambda name: name not in _FAST_CIPHERS))
        options.key_types = host_keys.preferred(known, options.key_types)
        transport.start_client(timeout=settings.connect_timeout_s + _LOGIN_TIMEOUT_S)
        host_keys.check(settings, known, transport.get_remote_server_key())
        tried = []
        for login in logins(settings):
            tried.append(login.shown)
            if _let_in(transport, settings, login):
                return transport
            if not transport.is_active():
                break
    except SnapqError:
        raise
    except Exception as error:  # for damaged keys and packets paramiko raises errors of many kinds
        raise _no_way(settings, error) from error
    raise DeviceError(
        f"The board does not let user {settings.user!r} in. Tried: "
        f"{', '.join(tried) or 'nothing, there is no key'}.",
        where=settings.shown,
        hint=f"Put your key there: ssh-copy-id -p {settings.port} {settings.user}@{settings.host}; "
        "or give a password in $SNAPQ_SSH_PASSWORD.",
    )


def _let_in(transport: paramiko.Transport, settings: SshSettings, login: Login) -> bool:
    try:
        login.attempt(transport, settings.user)
    except paramiko.AuthenticationException:
        return False
    except (paramiko.SSHException, EOFError):  # "too many failures", and the line is closed
        return False
    return transport.is_authenticated()


def _way(settings: SshSettings, stack: ExitStack) -> Any:
    """A connected socket, a channel through a jump host, or the pipes of a proxy command."""
    if settings.jump is not None:
        hop = log_in(settings.jump, stack)
        place = (settings.host, settings.port)
        return hop.open_channel("direct-tcpip", place, ("127.0.0.1", 0), timeout=30)
    if settings.proxy_command:
        proxy = paramiko.ProxyCommand(settings.proxy_command)
        stack.callback(proxy.close)
        return proxy
    found = socket.create_connection((settings.host, settings.port), settings.connect_timeout_s)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stack.callback(found.close)
    return found


_REASONS: dict[int, tuple[str, str]] = {
    errno.ECONNREFUSED: (
        "Nothing listens at this address.",
        "Check the port, and that sshd runs on the board.",
    ),
    errno.EHOSTUNREACH: ("There is no route to this host.", "Check the network and the address."),
    errno.ENETUNREACH: ("There is no route to this host.", "Check the network and the address."),
    errno.ECONNRESET: (
        "The host closed the connection.",
        "Check that it is the board's SSH port, and the log of its sshd.",
    ),
}


def _no_way(settings: SshSettings, error: Exception) -> DeviceError:
    """Why there is no connection, in plain words."""
    if isinstance(error, socket.gaierror):
        what, hint = (
            f"No host is called {settings.host!r}.",
            "Check the name, or write its IP address.",
        )
    elif isinstance(error, TimeoutError):
        what, hint = (
            f"The host did not answer within {settings.connect_timeout_s:g} s.",
            "Check that the board is on and in this network.",
        )
    elif isinstance(error, OSError) and error.errno in _REASONS:
        what, hint = _REASONS[error.errno]
    else:
        said = readable(str(error).encode()) or type(error).__name__
        what, hint = (
            f"No SSH connection could be made: {said}.",
            "Check that it is the board's SSH port, and try `ssh` itself.",
        )
    return DeviceError(what, where=settings.shown, hint=hint)
