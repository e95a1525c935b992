"""The inventory of boards: `boards.yaml`, beside the user's device profiles.

```yaml
boards:
  - name: bench-1
    address: ssh://root@192.168.1.20
    profile: qcs9075
    setup: {python: /usr/bin/python3}
```
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from snapq.boards.transports.address import Address, SshAddress, parse
from snapq.config import Strict
from snapq.errors import ConfigError, StorageError
from snapq.home import user_path
from snapq.storage import storage_errors

VARIABLE = "SNAPQ_BOARDS"
_MAX_BYTES = 1 << 20


class BoardSetup(Strict):
    """How programs run on a board."""

    python: str = "python3"
    """Python 3.9 or later on the board."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the agent, such as ADSP_LIBRARY_PATH."""


class BoardEntry(Strict):
    """One board of the inventory."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    address: str
    """`ssh://user@host:port`, or `adb://SERIAL`."""
    profile: str | None = None
    """Device profile of its SoC; read from the board where not given."""
    identity: Path | None = None
    """Private key to offer."""
    known_hosts: Path | None = None
    """File with the board's host key, instead of the user's own."""
    setup: BoardSetup = BoardSetup()


class _Inventory(Strict):
    boards: tuple[BoardEntry, ...] = ()


@dataclass(frozen=True)
class Board:
    """A board that can be connected to."""

    name: str
    """As the user named it: a name of the inventory, or an address."""
    address: Address
    profile: str | None = None
    setup: BoardSetup = field(default_factory=BoardSetup)


def inventory_path() -> Path:
    """Where the inventory is: `$SNAPQ_BOARDS`, else `~/.config/snapq/boards.yaml`.

    Raises:
        StorageError: there is no home folder.
    """
    return user_path(
        "snapq/boards.yaml", variable=VARIABLE, base="XDG_CONFIG_HOME", otherwise="~/.config"
    )


def boards() -> tuple[Board, ...]:
    """Every board of the inventory; none where there is no such file.

    Raises:
        ConfigError: the file is not an inventory.
        StorageError: it cannot be read.
    """
    try:
        path = inventory_path()
    except StorageError:  # no home, so no inventory in it
        return ()
    if not path.is_file():
        return ()
    with storage_errors(path):
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError("An inventory has no more than 1 MB.", where=str(path))
        text = path.read_bytes()
    try:
        entries = _Inventory.model_validate(yaml.safe_load(text) or {}).boards
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            f"not valid YAML: {' '.join(str(error).split())}.", where=str(path)
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(
            f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}.",
            where=str(path),
            hint=f"A board has the keys {', '.join(BoardEntry.model_fields)}.",
        ) from error
    names = [entry.name for entry in entries]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ConfigError(f"Two boards are called {twice}.", where=str(path))
    return tuple(_board(entry) for entry in entries)


def find_board(target: str) -> Board | None:
    """The board that an address or a name of the inventory stands for; None where neither fits.

    Raises:
        ConfigError: the address or the inventory is wrong.
    """
    if "://" in target:
        return Board(target, parse(target))
    return next((board for board in boards() if board.name == target), None)


def refuse_board(text: str) -> None:
    """Raises `ConfigError` where a board is named in the place of a chip."""
    try:
        named = "://" in text or any(board.name == text for board in boards())
    except (ConfigError, StorageError):  # the inventory is wrong; that is no matter here
        return
    if named or text == "probe":
        what = f"{text!r} is a board, and no chip." if named else "Which board shall be asked?"
        hint = f"To ask what it is: snapq devices probe {text if named else 'BOARD'}"
        raise ConfigError(what, hint=hint)


def _board(entry: BoardEntry) -> Board:
    address: Address = parse(entry.address)
    if isinstance(address, SshAddress):
        address = replace(address, identity=entry.identity, known_hosts=entry.known_hosts)
    return Board(entry.name, address, entry.profile, entry.setup)
