"""How an emulated board is named as a target: `qemu`, `qemu://NAME?soc=sm8650&npu=no-answer`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from snapq.boards.emulator.npu_state import NpuState
from snapq.errors import ConfigError, nearest

SCHEME = "qemu"
_KEYS = ("soc", "npu")
_EXAMPLE = "Write qemu, qemu://NAME or qemu://NAME?soc=sm8650&npu=no-answer."


@dataclass(frozen=True)
class EmulatedAddress:
    """An emulated board, and what it pretends to be where it is not running yet."""

    name: str | None = None
    """None: a board that is started for one measurement alone."""
    soc: str | None = None
    npu: NpuState = NpuState.NO_DEVICE

    @classmethod
    def parse(cls, text: str) -> EmulatedAddress | None:
        """Reads a target; None where it is another kind of target.

        Raises:
            ConfigError: it begins like an emulated board's address, and is malformed.
        """
        if text == SCHEME:
            return cls()
        if not text.startswith(f"{SCHEME}:"):
            return None
        try:
            parts = urlsplit(text)
            values = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        except ValueError as error:
            raise _wrong(text) from error
        unknown = next((key for key in values if key not in _KEYS), None)
        if unknown is not None:
            close = nearest(unknown, _KEYS)
            raise ConfigError(
                f"{unknown!r} is not a key of an emulated board.",
                where=text,
                hint=f"Did you mean {close}? {_EXAMPLE}" if close else _EXAMPLE,
            )
        if not text.startswith(f"{SCHEME}://") or parts.path.strip("/") or parts.fragment:
            raise _wrong(text)
        return cls(parts.netloc or None, values.get("soc"), _state(values.get("npu"), text))


def _state(word: str | None, text: str) -> NpuState:
    if word is None:
        return NpuState.NO_DEVICE
    try:
        return NpuState(word)
    except ValueError as error:
        raise ConfigError(
            f"{word!r} is not a state of an NPU.",
            where=text,
            hint=f"There are {', '.join(NpuState)}.",
        ) from error


def _wrong(text: str) -> ConfigError:
    return ConfigError("This is not an emulated board.", where=text, hint=_EXAMPLE)
