"""What `~/.ssh/config` and OpenSSH's defaults add to an address."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snapq.boards.transports.address import SshAddress
from snapq.boards.transports.lines import readable
from snapq.boards.user import user_name
from snapq.errors import ConfigError, SnapqError
from snapq.home import expanded, expanded_or_none
from snapq.storage import storage_errors

_MAX_JUMPS = 5
_PORT = 22
_CONNECT_TIMEOUT_S = 15.0
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DIGITS = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True)
class SshSettings:
    """Everything that is needed to connect to one host."""

    shown: str
    """The address as the user named it."""
    host: str
    port: int
    user: str
    host_key_name: str
    """Name under which known_hosts has the host key."""
    identities: tuple[Path, ...]
    only_identities: bool
    """Offer no keys but `identities`."""
    known_hosts: tuple[Path, ...]
    """Files with host keys; the first is the one that a new key goes to."""
    connect_timeout_s: float
    proxy_command: str | None
    jump: SshSettings | None
    """The host through which this one is reached."""


def settings_of(address: SshAddress, *, _depth: int = 0) -> SshSettings:
    """Fills in an address from `~/.ssh/config`.

    Raises:
        ConfigError: the file cannot be understood, or hosts jump in a circle.
        StorageError: it cannot be read, or a path needs a home folder and there is none.
    """
    found = _lookup(address.host) if address.configured else {}
    if _depth > _MAX_JUMPS:
        raise ConfigError(
            "ProxyJump goes through too many hosts.",
            where=f"~/.ssh/config, Host {address.host}",
            hint="Check it for hosts that jump to each other.",
        )
    host = str(found.get("hostname", address.host))
    port = address.port or _port(found, address.host)
    alias = str(found.get("hostkeyalias", host))
    plain = port == _PORT or "hostkeyalias" in found
    given = (expanded(address.identity),) if address.identity else ()
    configured = filter(None, map(expanded_or_none, found.get("identityfile", ())))
    jump = found.get("proxyjump")
    return SshSettings(
        shown=str(address),
        host=host,
        port=port,
        user=address.user or str(found.get("user") or user_name()),
        host_key_name=alias if plain else f"[{alias}]:{port}",
        identities=(*given, *configured),
        only_identities=bool(given) or str(found.get("identitiesonly", "no")).lower() == "yes",
        known_hosts=_known_hosts(address, found),
        connect_timeout_s=_connect_timeout_s(found, address.host),
        proxy_command=found.get("proxycommand") if not jump else None,
        jump=_jump(str(jump), _depth) if jump and str(jump).lower() != "none" else None,
    )


def _lookup(host: str) -> dict[str, Any]:
    import paramiko

    path = expanded_or_none("~/.ssh/config")
    if path is None or not path.is_file():
        return {}
    os.environ.setdefault("LOGNAME", user_name())  # else paramiko looks for an entry of the user
    try:
        with storage_errors(path), path.open(encoding="utf-8", errors="replace") as file:
            config = paramiko.SSHConfig()
            config.parse(file)
            return dict(config.lookup(host))
    except SnapqError:
        raise
    except Exception as error:  # for odd lines paramiko raises errors of many kinds
        said = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(f"It cannot be understood: {said}.", where=str(path)) from error


def _port(found: Mapping[str, Any], host: str) -> int:
    text = str(found.get("port", _PORT))
    if not _DIGITS.fullmatch(text) or not 0 < int(text) < 1 << 16:
        raise _unfit("Port", text, host, "Write a number from 1 to 65535.")
    return int(text)


def _connect_timeout_s(found: Mapping[str, Any], host: str) -> float:
    """Seconds; in words such as `1m30s` too. Source: sshd_config(5), "TIME FORMATS"."""
    text = str(found.get("connecttimeout", "none")).strip().lower()
    if text in ("none", "0"):
        return _CONNECT_TIMEOUT_S
    parts = re.findall(r"(\d{1,9})([smhdw]?)", text, re.ASCII)
    if "".join(map("".join, parts)) != text or not parts:
        raise _unfit("ConnectTimeout", text, host, "Write seconds, such as 15.")
    return float(sum(int(number) * _SECONDS[unit] for number, unit in parts))


def _unfit(key: str, value: str, host: str, hint: str) -> ConfigError:
    return ConfigError(
        f"{key} is {readable(value.encode(), 40)!r}, which ssh does not take.",
        where=f"~/.ssh/config, Host {host}",
        hint=hint,
    )


def _jump(text: str, depth: int) -> SshSettings:
    """The last host of a ProxyJump list; the ones before it are its own way there."""
    names = [name.strip().removeprefix("ssh://") for name in text.split(",")]
    hops = [SshAddress.parse(f"ssh://{hop}") for hop in names]
    settings: SshSettings | None = None
    for hop in hops:
        found = settings_of(hop, _depth=depth + 1)
        settings = found if settings is None else replace(found, jump=settings)
    assert settings is not None
    return settings


def _known_hosts(address: SshAddress, found: dict[str, Any]) -> tuple[Path, ...]:
    if address.known_hosts:
        return (expanded(address.known_hosts),)
    named = str(found.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2"))
    own = filter(None, map(expanded_or_none, named.split()))
    return (*own, Path("/etc/ssh/ssh_known_hosts"))
