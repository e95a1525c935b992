"""Writes a quantized pair into a folder of its own, with all that is needed to run it."""

from __future__ import annotations

import shutil
from pathlib import Path

from snapq import storage
from snapq.graph import io
from snapq.llm.files import (
    DECODE,
    PREFILL,
    TOKENIZER,
    TOKENIZER_CONFIG,
    CacheCodes,
    Folder,
    write_facts,
)
from snapq.llm.quantize import QuantizedPair
from snapq.precision import PairPrecision

__all__ = ["write_quantized"]


def write_quantized(pair: QuantizedPair, source: Folder, folder: Path) -> Folder:
    """Writes both graphs, the tokenizer of the float pair, and `llm.json`.

    Raises:
        StorageError: the folder cannot be written.
    """
    codes = {
        name: CacheCodes(scale=float(held.scale), zero_point=int(held.zero_point))
        for name, held in pair.cache.items()
    }
    wide = list(pair.wide) if pair.precision is PairPrecision.W4A16 else None
    found = {"precision": pair.precision.value, "eight_bits": wide, "cache": codes}
    facts = source.facts.model_copy(update=found)
    with storage.atomic_folder(folder) as path:
        io.save(pair.prefill, path / PREFILL)
        io.save(pair.decode, path / DECODE)
        copy_tokens(source.path, path)
        write_facts(path, facts)
    return Folder(folder, facts)


def copy_tokens(source: Path, folder: Path) -> None:
    """Copies the tokenizer and its chat template. Raises `StorageError`."""
    for name in (TOKENIZER, TOKENIZER_CONFIG):
        if (source / name).is_file():
            with storage.storage_errors(folder / name):
                shutil.copyfile(source / name, folder / name)
