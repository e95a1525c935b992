"""What `~/.ssh/config` and OpenSSH's defaults add to an address."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snapq.boards.transports.address import SshAddress
from snapq.boards.user import user_name
from snapq.errors import ConfigError
from snapq.storage import storage_errors

_MAX_JUMPS = 5


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
        StorageError: it cannot be read.
    """
    found = _lookup(address.host) if address.configured else {}
    if _depth > _MAX_JUMPS:
        raise ConfigError(
            "ProxyJump goes through too many hosts.",
            where=f"~/.ssh/config, Host {address.host}",
            hint="Check it for hosts that jump to each other.",
        )
    host = str(found.get("hostname", address.host))
    port = address.port or int(found.get("port", 22))
    alias = str(found.get("hostkeyalias", host))
    plain = port == 22 or "hostkeyalias" in found
    given = (address.identity,) if address.identity else ()
    configured = tuple(Path(name).expanduser() for name in found.get("identityfile", ()))
    jump = found.get("proxyjump")
    return SshSettings(
        shown=str(address),
        host=host,
        port=port,
        user=address.user or str(found.get("user") or user_name()),
        host_key_name=alias if plain else f"[{alias}]:{port}",
        identities=tuple(path.expanduser() for path in (*given, *configured)),
        only_identities=bool(given) or str(found.get("identitiesonly", "no")).lower() == "yes",
        known_hosts=_known_hosts(address, found),
        connect_timeout_s=float(found.get("connecttimeout", 15)),
        proxy_command=found.get("proxycommand") if not jump else None,
        jump=_jump(str(jump), _depth) if jump and str(jump).lower() != "none" else None,
    )


def _lookup(host: str) -> dict[str, Any]:
    import paramiko

    path = Path("~/.ssh/config").expanduser()
    if not path.is_file():
        return {}
    try:
        with storage_errors(path), path.open(encoding="utf-8", errors="replace") as file:
            config = paramiko.SSHConfig()
            config.parse(file)
            return dict(config.lookup(host))
    except (paramiko.SSHException, ValueError) as error:
        raise ConfigError(f"It cannot be understood: {error}.", where=str(path)) from error


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
        return (address.known_hosts.expanduser(),)
    named = str(found.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2"))
    return (*(Path(name).expanduser() for name in named.split()), Path("/etc/ssh/ssh_known_hosts"))
