"""From what Qualcomm's runtime says to what it means and what to do: `error_catalogue.yaml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from snapq.errors import QnnError
from snapq.storage import parse_yaml

_FILE = Path(__file__).with_name("error_catalogue.yaml")
_NUMBER = re.compile(
    r"(?:err(?:or)?(?:[ _]?code)?|status|failed|setup failed)\s*[:=]?\s*(0x[0-9a-fA-F]+|\d{4,5})\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"\bQNN_[A-Z_]+_ERROR_[A-Z_]+\b")
_BARE = re.compile(r"\s*(?:code|error)?\s*(0x[0-9a-fA-F]+|\d+)\s*", re.IGNORECASE)
_PREFIX = re.compile(r"^\s*\w*(?:Error|Exception|Fail|Graph|Argument|Protobuf|Implemented)?: ")
_ORT = re.compile(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_LOG_ERROR = re.compile(r"\[[EF]:[^\]]*\]\s*(.*)|<E>\s*(.*)|<W>\s*(Failed.*)")
_COLOUR = re.compile(r"\x1b?\[(?:\d{1,2};?)*m")
_LONGEST = 400


@dataclass(frozen=True)
class Entry:
    """What one message or code means."""

    cause: str
    hint: str
    source: str
    code: int | None = None
    name: str | None = None


def explain(text: str, *, log: str = "", where: str | None = None) -> QnnError:
    """The error that a message of the runtime stands for.

    Args:
        text: what was raised or printed, or a code alone (`14001`, `0x72`).
        log: what was printed before; the cause is looked for here too, and its errors are quoted.
        where: the file, node or device concerned.
    """
    said = _clean(text)
    quotes = [quote for quote in _log_errors(log) if quote not in said]
    entry = lookup(text, log=log)
    tail = f" The log says: {' | '.join(quotes[:3])}" if quotes else ""
    if entry is None:
        return QnnError(
            f"Qualcomm's runtime failed: {said}{tail}",
            where=where,
            hint="The catalogue has no entry for this; `snapq doctor` checks the installation.",
        )
    named = f" [{entry.code} {entry.name}]" if entry.code is not None else ""
    return QnnError(f"{entry.cause}{named} Message: {said}{tail}", where=where, hint=entry.hint)


def lookup(text: str, *, log: str = "") -> Entry | None:
    """The entry for a message with its log, or for a code alone; None where there is none."""
    text = "\n".join([_clean(text), *_log_errors(log)])
    messages, codes = _catalogue()
    for pattern, entry in messages:
        if pattern.search(text):
            return entry
    for name in _NAME.findall(text):
        for entry in codes.values():
            if entry.name == name:
                return entry
    bare = _BARE.fullmatch(text)
    numbers = [bare.group(1)] if bare else _NUMBER.findall(text)
    for number in numbers:
        found = codes.get(int(number, 0))
        if found is not None:
            return found
    return None


def entries() -> tuple[Entry, ...]:
    """Every entry, messages first."""
    messages, codes = _catalogue()
    return (*(entry for _, entry in messages), *codes.values())


@cache
def _catalogue() -> tuple[tuple[tuple[re.Pattern[str], Entry], ...], dict[int, Entry]]:
    data = parse_yaml(_FILE.read_bytes())
    messages = tuple(
        (
            re.compile(row["pattern"], re.IGNORECASE | re.DOTALL),
            Entry(row["cause"], row["hint"], row["source"]),
        )
        for row in data["messages"]
    )
    codes = {code: Entry(code=code, **row) for code, row in data["codes"].items()}
    return messages, codes


def _clean(text: str) -> str:
    """A message without exception class and ONNX Runtime's prefix, on one line, not too long."""
    line = " ".join(_ORT.sub("", _PREFIX.sub("", text)).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _log_errors(log: str) -> list[str]:
    """The distinct lines of a log that report errors, first ones first."""
    found: dict[str, None] = {}
    for line in log.splitlines():
        match = _LOG_ERROR.search(_COLOUR.sub("", line))
        if match:
            found[_clean(next(filter(None, match.groups()), ""))] = None
    return [line for line in found if line]
