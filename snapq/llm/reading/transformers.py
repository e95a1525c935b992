"""Reads a folder as Transformers writes it: safetensors, config.json and tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snapq.errors import ModelError
from snapq.llm.libraries import library, refusals
from snapq.llm.reading.checkpoint import Checkpoint, Vocabulary
from snapq.llm.reading.config_json import decoder_of
from snapq.llm.weights import Stored, Weights

__all__ = ["read_folder", "read_json", "vocabulary_beside"]

Floats = npt.NDArray[np.float32]
_INDEX = "model.safetensors.index.json"
_FLOATS = ("F32", "F16", "BF16", "F64")
_BUFFER = ".rotary_emb.inv_freq"
"""Old checkpoints keep the frequencies, which the configuration gives."""


def read_folder(folder: Path, file: Path | None = None) -> Checkpoint:
    """Reads a folder.

    Args:
        folder: with config.json and tokenizer.json.
        file: the safetensors, where it is not for the folder to say.

    Raises:
        ModelError: a file is missing or damaged, or the model is of a kind that is not taken.
        InstallError: a library is missing.
    """
    config = read_json(folder / "config.json")
    stored: dict[str, Stored] = {}
    for path in [file] if file is not None else _files(folder):
        stored |= _tensors(path)
    decoder = decoder_of(config, str(folder / "config.json"), "lm_head.weight" in stored)
    weights = Weights(decoder, stored, "transformers", folder)
    return Checkpoint(folder, decoder, weights, vocabulary_beside(folder, config))


def vocabulary_beside(folder: Path, config: Mapping[str, Any]) -> Vocabulary:
    """The tokens by the `tokenizer.json` of a folder. Raises `ModelError` where it has none."""
    tokenizer = read_json(folder / "tokenizer.json")
    more = _optional(folder / "generation_config.json")
    ends = more.get("eos_token_id", config.get("eos_token_id"))
    ends = ends if isinstance(ends, list) else [ends]
    beginning = config.get("bos_token_id")
    template = _optional(folder / "tokenizer_config.json").get("chat_template")
    beside = folder / "chat_template.jinja"
    if template is None and beside.is_file():
        with refusals("It cannot be read", str(beside)):
            template = beside.read_text(encoding="utf-8")
    return Vocabulary(
        tokenizer,
        beginning if isinstance(beginning, int) else None,
        tuple(end for end in ends if isinstance(end, int)),
        template if isinstance(template, str) else None,
    )


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds. Raises `ModelError`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"There is no {path.name} beside the weights.",
            where=str(path),
            hint="Give the whole folder as it was published, or a GGUF file.",
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"It cannot be read as JSON: {error}.", where=str(path)) from error
    if not isinstance(value, dict):
        raise ModelError("It holds no JSON object.", where=str(path))
    return value


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _files(folder: Path) -> list[Path]:
    """The files of safetensors: those that the index names, or the only one."""
    index = folder / _INDEX
    if index.is_file():
        named = read_json(index).get("weight_map")
        if not isinstance(named, dict) or not all(isinstance(v, str) for v in named.values()):
            raise ModelError("It has no `weight_map` of file names.", where=str(index))
        paths = [folder / Path(name).name for name in sorted(set(named.values()))]
        for path in paths:
            if not path.is_file():
                raise ModelError(
                    f"The index names '{path.name}', which is not there.",
                    where=str(folder),
                    hint="Check that the download is whole.",
                )
        return paths
    paths = sorted(folder.glob("*.safetensors"))
    if len(paths) != 1:
        found = f"{len(paths)} files" if paths else "no file"
        raise ModelError(
            f"The folder has {found} of safetensors, and no {_INDEX}.",
            where=str(folder),
            hint="Give the folder of one model, or one GGUF file.",
        )
    return paths


def _tensors(path: Path) -> dict[str, Stored]:
    """What a file of safetensors holds, by name; nothing is read yet."""
    safetensors = library("safetensors")
    with (
        refusals("It is no file of safetensors, or is damaged", str(path)),
        safetensors.safe_open(str(path), "numpy") as held,
    ):
        slices = {name: held.get_slice(name) for name in held.keys()}  # noqa: SIM118
        facts = {name: (one.get_dtype(), tuple(one.get_shape())) for name, one in slices.items()}
    for name, (dtype, _) in facts.items():
        if dtype not in _FLOATS:
            raise ModelError(
                f"Tensor '{name}' holds {dtype}; only {', '.join(_FLOATS)} are taken.",
                where=str(path),
                hint="Give the weights in floating point, or a GGUF file.",
            )
    return {
        name: Stored(name, shape, lambda name=name: _read(path, name))  # type: ignore[misc]
        for name, (_, shape) in facts.items()
        if not name.endswith(_BUFFER)
    }


def _read(path: Path, name: str) -> Floats:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        fact = json.loads(file.read(length))[name]
        begin, end = fact["data_offsets"]
        file.seek(8 + length + begin)
        data = file.read(end - begin)
    if fact["dtype"] == "BF16":  # numpy has none: the upper half of a float32
        wide = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        return wide.view(np.float32).reshape(fact["shape"])
    kind = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}[fact["dtype"]]
    return np.frombuffer(data, kind).astype(np.float32).reshape(fact["shape"])
