"""The folder of a language model: a pair of graphs, their weights, tokens, and what they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from snapq.errors import ModelError
from snapq.llm.cache import CacheLayout
from snapq.storage import write_json

__all__ = [
    "DECODE",
    "DEPLOYMENT",
    "FACTS",
    "PREFILL",
    "PROGRAM",
    "SEPARATE",
    "TOKENIZER",
    "TOKENIZER_CONFIG",
    "WEIGHTS",
    "CacheCodes",
    "Facts",
    "Folder",
    "write_facts",
]

PREFILL = "prefill.onnx"
DECODE = "decode.onnx"
WEIGHTS = "weights.bin"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
FACTS = "llm.json"
PROGRAM = "chat.py"
SEPARATE = "separate"
DEPLOYMENT = "deploy.yaml"
"""Of a float pair: the rest of the road as `snapq run` takes it."""
_ANEW = "Write the folder anew."
_PAIR = "Give a folder that `snapq llm init` or `quantize` wrote."
_PACKAGE = "Give a folder that `snapq llm package` wrote."


class CacheCodes(BaseModel):
    """How the integers of one tensor of the cache are read: `(integer - zero_point) * scale`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    scale: float
    zero_point: int


class Facts(BaseModel):
    """What `llm.json` says of a pair.

    Attributes:
        family: of the decoder, such as `llama`.
        layers: how many.
        hidden: width of the residual stream.
        heads: of queries.
        kv_heads: of keys and values.
        head_size: width of a head.
        vocabulary: number of tokens.
        context: positions that attention sees.
        prefill: tokens that the first graph takes at once.
        beginning: id of the token in front of a text, where there is one.
        ends: ids of the tokens that end an answer.
        precision: of the graphs: `float32`, or weights and activations as `w8a16`.
        eight_bits: at w4a16, the parts and layers whose weights have 8 bits.
        cache: how each input of the cache is read where it is integers; outputs are alike.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    family: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    context: int
    prefill: int
    beginning: int | None
    ends: list[int]
    precision: str = "float32"
    eight_bits: list[str] | None = None
    cache: dict[str, CacheCodes] | None = None

    @property
    def zeros(self) -> dict[str, int] | None:
        """Which integer of each input of the cache is 0; None where it is float."""
        if self.cache is None:
            return None
        return {name: codes.zero_point for name, codes in self.cache.items()}

    @property
    def longest_prompt(self) -> int:
        """Tokens of a prompt behind which an answer of one has room, as whole windows are read."""
        return (self.context - 1) // self.prefill * self.prefill

    @property
    def layout(self) -> CacheLayout:
        """Of the cache."""
        return CacheLayout(self.layers, self.kv_heads, self.head_size, self.context)


@dataclass(frozen=True)
class Folder:
    """A folder that `llm init` wrote.

    Attributes:
        path: where it is.
        facts: what it holds.
    """

    path: Path
    facts: Facts

    @classmethod
    def open(cls, path: Path) -> Folder:
        """Opens a folder. Raises `ModelError` where it is none, or a file of it is missing."""
        facts = _read_facts(path, _PAIR)
        if (path / SEPARATE).is_dir():
            raise ModelError(
                "It is a package, whose graphs are compiled.", where=str(path), hint=_PAIR
            )
        weights = () if facts.cache is not None else (WEIGHTS,)
        _require(path, (PREFILL, DECODE, TOKENIZER, *weights))
        return cls(path, facts)

    @classmethod
    def open_package(cls, path: Path) -> Folder:
        """Opens what `llm package` wrote, whose graphs are compiled. Raises `ModelError`."""
        facts = _read_facts(path, _PACKAGE)
        if not (path / PROGRAM).is_file() or not (path / SEPARATE).is_dir():
            raise ModelError(
                "It is no package of a language model.", where=str(path), hint=_PACKAGE
            )
        _require(path, (TOKENIZER,))
        return cls(path, facts)


def _read_facts(path: Path, hint: str) -> Facts:
    file = path / FACTS
    try:
        return Facts.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"The folder has no {FACTS}.", where=str(path), hint=hint) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole"
        told = f"It cannot be read: {key}: {first['msg']}."
        raise ModelError(told, where=str(file), hint=_ANEW) from error
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"It cannot be read: {reason}.", where=str(file), hint=_ANEW) from error


def _require(path: Path, names: Sequence[str]) -> None:
    for name in names:
        if not (path / name).is_file():
            raise ModelError(f"The folder has no {name}.", where=str(path), hint=_ANEW)


def write_facts(folder: Path, facts: Facts) -> None:
    """Writes `llm.json`. Raises `StorageError`."""
    write_json(folder / FACTS, facts.model_dump())
