"""What `--cluster` may say: a Dask scheduler that runs, or workers on this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass

from snapq.errors import ConfigError
from snapq.runtime import processors

__all__ = ["Address", "parse"]

_LOCAL = re.compile(r"local(?::(\d{1,4}))?")
_REMOTE = re.compile(
    r"(?P<kind>dask|tcp|tls)://(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+):(?P<port>\d{1,5})/?"
)
_MOST_PORT = 65_535
_MOST_WORKERS = 1024


@dataclass(frozen=True)
class Address:
    """Where the workers are.

    Attributes:
        scheduler: `tcp://HOST:PORT` or `tls://HOST:PORT`; None where they are started here.
        workers: how many are started here; 0 of a scheduler that runs.
    """

    scheduler: str | None
    workers: int

    def __str__(self) -> str:
        return self.scheduler or f"local:{self.workers}"


def parse(text: str) -> Address:
    """Reads `dask://HOST:PORT`, `tls://HOST:PORT`, `local:4`, or `local` (one a processor).

    Raises:
        ConfigError: it is none of them.
    """
    here = _LOCAL.fullmatch(text.strip())
    if here:
        count = processors() if here[1] is None else int(here[1])
        if 1 <= count <= _MOST_WORKERS:
            return Address(None, count)
        raise ConfigError(
            f"'{text}' asks for {count} workers.",
            where="--cluster",
            hint=f"Give a number from 1 to {_MOST_WORKERS}, such as local:4.",
        )
    found = _REMOTE.fullmatch(text.strip())
    if found is None or not 0 < int(found["port"]) <= _MOST_PORT:
        raise ConfigError(
            f"'{text}' is no cluster.",
            where="--cluster",
            hint="Write dask://HOST:8786 for a Dask scheduler that runs, or local:4 for four "
            "workers on this machine.",
        )
    protocol = "tls" if found["kind"] == "tls" else "tcp"
    return Address(f"{protocol}://{found['host']}:{found['port']}", 0)
