"""What a board is, as it says of itself; checked, since a board may say anything."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from snapq.boards.inventory import Board
from snapq.boards.session.program import ROOT, ask
from snapq.boards.transports.base import Transport
from snapq.devices import profiles
from snapq.devices.profiles import DeviceProfile
from snapq.devices.soc_numbers import SOC_NUMBERS
from snapq.errors import DeviceError


def _plain(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return "".join(c if c.isprintable() else "?" for c in value)[:300]


def whole_number(text: str) -> int | None:
    """The number that a board wrote in up to 8 decimal digits; None where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


Text = Annotated[str, BeforeValidator(_plain)]
Count = Annotated[int, Field(ge=0, le=1 << 50)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


class System(_Answer):
    """Operating system and kernel."""

    os: Text
    kernel: Text
    machine: Text
    libc: list[Text]
    user: Text
    host: Text


class Processor(_Answer):
    """The CPU."""

    model: Text
    cores: Count
    features: list[Text]


class Memory(_Answer):
    """In bytes."""

    total: Count
    available: Count


class Disk(_Answer):
    """Where snapq's folder is, in bytes."""

    root: Text
    free: Count
    writable: bool


class Python(_Answer):
    """The interpreter that runs the agent, and what it can import."""

    version: Text
    executable: Text
    distributions: dict[Text, Text]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The first two numbers of the version; 0 for what is none."""
        return tuple(whole_number(part) or 0 for part in self.version.split(".")[:2])


class NpuNode(_Answer):
    """A device node through which a processor of the SoC is reached."""

    path: Text
    mode: Text
    owner: int
    group: int
    usable: bool


class BoardFacts(_Answer):
    """Everything that the probe found."""

    system: System
    processor: Processor
    memory: Memory
    disk: Disk
    python: Python
    soc: dict[Text, Text]
    npu_nodes: list[NpuNode]
    libraries: dict[Text, Text | None]
    thermal_zones: dict[Text, float]
    governors: list[Text]
    environments: list[Text]
    emulated: bool = False
    """Whether it is an emulated board of snapq's, whose times are no times."""
    clock: float
    """Seconds since 1970 by the board's clock."""

    @property
    def soc_id(self) -> int | None:
        """The kernel's number of the SoC."""
        return whole_number(self.soc.get("soc_id", ""))

    @property
    def has_npu(self) -> bool:
        """Whether there is a device node of an NPU."""
        return any("cdsp" in node.path or "adsprpc" in node.path for node in self.npu_nodes)


def probe(transport: Transport, board: Board) -> BoardFacts:
    """Asks a board what it is.

    Raises:
        DeviceError: its answer makes no sense.
        InstallError: there is no Python 3.9 or later on it.
        ConnectionLostError: the connection broke.
    """
    answer = ask(transport, "probe", {"root": ROOT}, python=board.setup.python)
    try:
        return BoardFacts.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise DeviceError(
            f"The board's answer makes no sense: {first['msg']}.", where=transport.address
        ) from error


def profile_of(board: Board, facts: BoardFacts) -> DeviceProfile | None:
    """The device profile of a board: the inventory's, else what its kernel says.

    Raises:
        DeviceError: the inventory names a profile that is not there, or another SoC than the
            board's own.
    """
    detected = SOC_NUMBERS.get(facts.soc_id) if facts.soc_id is not None else None
    if board.profile is None:
        return _existing(detected)
    named = profiles.find(board.profile)
    found = _existing(detected)
    if found is not None and found.architecture != named.architecture:
        raise DeviceError(
            f"The inventory says that this board is a {named.name}, and the board says that it is "
            f"a {found.name}.",
            where=board.name,
            hint="Correct the profile in boards.yaml.",
        )
    return named


def _existing(name: str | None) -> DeviceProfile | None:
    if name is None:
        return None
    try:
        return profiles.find(name)
    except DeviceError:
        return None
