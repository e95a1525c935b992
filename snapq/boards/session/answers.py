"""What the agent says, checked before it is believed: types, ranges, sizes, and no markup."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from snapq.boards.session.program import Answer
from snapq.errors import DeviceError

_MAX_SAMPLES = 1_000_000


def _plain(value: Any) -> Any:
    """Text of a board, without control characters and not too long."""
    if not isinstance(value, str):
        return value
    return "".join(c if c.isprintable() else " " for c in value)[:2000].strip()


Plain = Annotated[str, BeforeValidator(_plain)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Size = Annotated[int, Field(ge=0, le=1 << 50)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Fallback(_Said):
    """An entry of the fallback chain, and whether the model runs there."""

    label: Plain
    fallback: Plain
    taken: bool
    reason: Plain
    log: Annotated[str, Field(max_length=65536)]
    """The end of what the libraries printed, lines kept; never shown as it is."""


class PlacementSaid(_Said):
    """Nodes by processor; None where the board's ONNX Runtime cannot tell."""

    npu: Size | None
    cpu: Size | None
    partitions: Size | None
    cpu_nodes: Annotated[list[tuple[Plain, Plain]], Field(max_length=200)]


class GoldenSaid(_Said):
    """One output against its golden data."""

    exact: bool
    largest: NotNegative
    """Largest absolute difference: steps of the encoding for integers."""
    span: NotNegative
    """Largest absolute golden value."""
    integer: bool


class AnswersSaid(_Said):
    """One output of a classical model against ONNX Runtime's answers to the golden rows."""

    labels: bool
    rows: Size
    equal: Size
    ties: Size
    largest: NotNegative
    mean: NotNegative
    range: NotNegative


class Loaded(_Said):
    """A model that is ready in a process of its own."""

    label: Plain
    create_cold_ms: Milliseconds
    create_warm_ms: Milliseconds
    first_ms: Milliseconds
    rss_before: Size
    rss_loaded: Size
    placement: PlacementSaid
    options: Annotated[dict[Plain, Plain], Field(max_length=100)]
    golden: Annotated[list[dict[Plain, GoldenSaid]], Field(max_length=100_000)]
    answers: Annotated[dict[Plain, AnswersSaid], Field(max_length=1000)] = {}
    runtime: Annotated[dict[Plain, Plain], Field(max_length=20)]


class Turn(_Said):
    """Times of one turn."""

    label: Plain
    ms: Annotated[list[Milliseconds], Field(min_length=1, max_length=_MAX_SAMPLES)]
    encode_ms: Annotated[list[Milliseconds], Field(max_length=_MAX_SAMPLES)] = []
    decode_ms: Annotated[list[Milliseconds], Field(max_length=_MAX_SAMPLES)] = []

    @model_validator(mode="after")
    def _parts_are_parts(self) -> Turn:
        if len(self.encode_ms) != len(self.decode_ms):
            raise ValueError("head and tail were not timed alike")
        for whole, head, tail in zip(self.ms, self.encode_ms, self.decode_ms, strict=False):
            if head + tail > whole + 1e-3:
                raise ValueError("head and tail took longer than the whole")
        if self.encode_ms and len(self.encode_ms) != len(self.ms):
            raise ValueError("some runs have no time of head and tail")
        return self


class Usage(_Said):
    """What a process used in all."""

    label: Plain
    rss_peak: Size
    processor_s: Milliseconds


class Conditions(_Said):
    """The state of the board at one moment."""

    when: Plain
    at_s: Finite
    celsius: Annotated[dict[Plain, Finite], Field(max_length=64)]
    cpu_khz: Annotated[list[Size | None], Field(max_length=64)]
    cpu_limit_khz: Annotated[list[Size | None], Field(max_length=64)]
    governors: Annotated[list[Plain], Field(max_length=64)]
    cooling: Size | None
    load: Finite


class Progress(_Said):
    """How much of what the protocol asks for is done."""

    share: Annotated[float, Field(ge=0, le=1)]


class Hello(_Said):
    """The agent's process, by which it can be stopped."""

    pid: Annotated[int, Field(gt=1, lt=1 << 31)]
    started: Plain


class Waiting(_Said):
    """Somebody else measures on the board."""

    holder: Plain


class Damaged(_Said):
    """Files whose bytes are not what was pushed."""

    files: Annotated[list[Plain], Field(max_length=10_000)]


class Exhausted(_Said):
    """A model runs on none of the fallbacks that are allowed."""

    label: Plain


class Done(_Said):
    """Everything was done."""


KINDS: dict[str, type[_Said]] = {
    "hello": Hello,
    "waiting": Waiting,
    "conditions": Conditions,
    "fallback": Fallback,
    "loaded": Loaded,
    "turn": Turn,
    "usage": Usage,
    "progress": Progress,
    "damaged": Damaged,
    "exhausted": Exhausted,
    "done": Done,
}


def read(answer: Answer, address: str) -> _Said:
    """Reads one answer of the agent.

    Raises:
        DeviceError: it is none that this snapq knows.
    """
    kind = KINDS.get(answer["type"])
    try:
        if kind is not None:
            return kind.model_validate(answer)
        problem = f"its type is {answer['type'][:50]!r}"
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        problem = f"{place}: {first['msg']}"
    raise DeviceError(
        f"The board sent an answer that makes no sense ({_plain(problem)}).", where=address
    )
