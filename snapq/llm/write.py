"""Writes the pair of graphs of a decoder into a folder, with all that is needed to run it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from snapq import storage
from snapq.errors import ConfigError, ModelError
from snapq.llm.cache import CacheLayout
from snapq.llm.files import (
    DECODE,
    PREFILL,
    TOKENIZER,
    TOKENIZER_CONFIG,
    WEIGHTS,
    Facts,
    write_facts,
)
from snapq.llm.graph.builder import Constants
from snapq.llm.graph.decoder import build
from snapq.llm.graph.layers import DecoderGraph
from snapq.llm.reading.checkpoint import Checkpoint
from snapq.llm.tokens import Tokens
from snapq.llm.weights import Weights

__all__ = ["Sizes", "check_context", "check_sizes", "prepared_weights", "write_pair"]


@dataclass(frozen=True)
class Sizes:
    """What the graphs are made for.

    Attributes:
        context: positions that attention sees.
        prefill: tokens of a prompt at once.
    """

    context: int
    prefill: int


def check_context(sizes: Sizes) -> None:
    """Raises `ConfigError` where no pair can be made for such sizes."""
    if sizes.prefill < 2:
        raise ConfigError(
            f"A prompt of {sizes.prefill} tokens at once is too short.",
            where="--prefill",
            hint="Take at least 2; 64 or 128 are usual.",
        )
    if sizes.context < 2 * sizes.prefill:
        raise ConfigError(
            f"The context of {sizes.context} is less than twice the {sizes.prefill} tokens that "
            "are taken at once, which onnxruntime-genai needs.",
            where="--context",
            hint=f"Take --context {2 * sizes.prefill} or more, or a smaller --prefill.",
        )


def check_sizes(checkpoint: Checkpoint, sizes: Sizes) -> None:
    """Raises `ConfigError` where a decoder cannot be made for such sizes."""
    check_context(sizes)
    decoder = checkpoint.decoder
    if decoder.longest is not None and sizes.context > decoder.longest:
        raise ConfigError(
            f"The model was trained for {decoder.longest} positions, and not for {sizes.context}.",
            where="--context",
            hint=f"Take --context {decoder.longest} or less.",
        )
    if decoder.window is not None and decoder.window < sizes.context:
        raise ConfigError(
            f"Attention of this model sees the last {decoder.window} positions only, and sliding "
            "windows are not taken.",
            where="--context",
            hint=f"Take --context {decoder.window} or less, where the window changes nothing.",
        )


def prepared_weights(checkpoint: Checkpoint) -> Weights:
    """The weights with the factor of the logits in those of the queries."""
    decoder, weights = checkpoint.decoder, checkpoint.weights
    factor = np.float32(decoder.head_size**-0.5)
    names = []
    for layer in range(decoder.layers):
        name = f"layers.{layer}.q"
        last = f"{name}_norm.weight"
        names += [last] if last in weights else [f"{name}.weight", f"{name}.bias"]
    return weights.scaled({name: np.asarray(factor) for name in names if name in weights})


def write_pair(checkpoint: Checkpoint, weights: Weights, sizes: Sizes, folder: Path) -> Facts:
    """Writes both graphs, their weights once, the tokenizer and `llm.json` into a new folder.

    Args:
        checkpoint: the decoder and its vocabulary.
        weights: as `prepared_weights` gives them.
        sizes: of the graphs, checked.
        folder: it replaces what is there, as a whole or not at all.

    Raises:
        ModelError: a tensor cannot be read, or the tokenizer does not fit.
        StorageError: the folder cannot be written.
    """
    decoder = checkpoint.decoder
    tokenizer = checkpoint.vocabulary.tokenizer
    tokens = Tokens.of(tokenizer, str(checkpoint.source))
    if tokens.size > decoder.vocabulary:
        raise ModelError(
            f"The tokenizer knows {tokens.size} tokens, and the model {decoder.vocabulary}.",
            where=str(checkpoint.source),
            hint="Check that the tokenizer belongs to the weights.",
        )
    layout = CacheLayout(decoder.layers, decoder.kv_heads, decoder.head_size, sizes.context)
    facts = Facts(
        family=decoder.family,
        layers=decoder.layers,
        hidden=decoder.hidden,
        heads=decoder.heads,
        kv_heads=decoder.kv_heads,
        head_size=decoder.head_size,
        vocabulary=decoder.vocabulary,
        context=sizes.context,
        prefill=sizes.prefill,
        beginning=checkpoint.vocabulary.beginning,
        ends=list(checkpoint.vocabulary.ends),
    )
    with storage.atomic_folder(folder) as path:
        constants = Constants(path, WEIGHTS)
        try:
            for name, rows in ((PREFILL, sizes.prefill), (DECODE, 1)):
                source = DecoderGraph(decoder, weights, layout, rows)
                model = build(source, name.removesuffix(".onnx"), constants)
                _save(model, path / name)
        finally:
            constants.close()
        text = json.dumps(tokenizer, ensure_ascii=False)
        storage.write_text(path / TOKENIZER, text)
        if checkpoint.vocabulary.chat_template is not None:
            held = {"chat_template": checkpoint.vocabulary.chat_template}
            storage.write_json(path / TOKENIZER_CONFIG, held)
        write_facts(path, facts)
    return facts


def _save(model: ir.Model, path: Path) -> None:
    """Writes a graph whose weights stay where they are, in the file beside it."""
    data = ir.serde.serialize_model(model).SerializeToString(deterministic=True)
    storage.write_bytes(path, data)
