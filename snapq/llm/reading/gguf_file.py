"""Reads a GGUF file, as llama.cpp and Ollama have them; quantized weights become float again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snapq.errors import ModelError
from snapq.llm.architecture import Decoder, Rope
from snapq.llm.libraries import library, refusals
from snapq.llm.reading.checkpoint import Checkpoint
from snapq.llm.reading.gguf_vocabulary import vocabulary_of
from snapq.llm.reading.transformers import vocabulary_beside
from snapq.llm.reading.values import Values
from snapq.llm.weights import Stored, Weights

__all__ = ["FAMILIES", "read_gguf"]

Floats = npt.NDArray[np.float32]
FAMILIES = ("llama", "qwen2", "qwen3")
"""Values of `general.architecture`; SmolLM2, TinyLlama and Mistral are `llama`."""
_PAIRS = frozenset({"llama"})
"""Families whose rows of q and k lie in neighbouring pairs."""
_DIVISORS = "rope_freqs.weight"


def read_gguf(path: Path) -> Checkpoint:
    """Reads a file.

    Raises:
        ModelError: it is damaged, or of a kind that is not taken.
        InstallError: a library is missing.
    """
    where = str(path)
    gguf = library("gguf")
    whole = "Check that the download is whole."
    with refusals("It is no GGUF file, or is damaged", where, whole):
        reader = gguf.GGUFReader(str(path))
        fields = {name: field.contents() for name, field in reader.fields.items()}
        tensors = {tensor.name: tensor for tensor in reader.tensors}
    family = fields.get("general.architecture")
    values = Values(fields, where)
    if family not in FAMILIES:
        raise values.refuse("general.architecture", f"only {', '.join(FAMILIES)} are taken")
    divisors: tuple[float, ...] = ()
    if _DIVISORS in tensors:
        held = _dequantized(tensors.pop(_DIVISORS), where)
        divisors = tuple(float(value) for value in held.reshape(-1))
        if not all(0 < value < np.inf for value in divisors):
            raise ModelError(f"'{_DIVISORS}' holds what is no divisor.", where=where)
    decoder = _decoder(values, str(family), tensors, divisors)
    stored = {name: _stored(tensor, decoder, where) for name, tensor in tensors.items()}
    weights = Weights(decoder, stored, "gguf", path)
    if (path.parent / "tokenizer.json").is_file():
        config = {
            "eos_token_id": fields.get("tokenizer.ggml.eos_token_id"),
            "bos_token_id": fields.get("tokenizer.ggml.bos_token_id"),
        }
        vocabulary = vocabulary_beside(path.parent, config)
    else:
        vocabulary = vocabulary_of(values)
    return Checkpoint(path, decoder, weights, vocabulary)


def _decoder(
    values: Values, family: str, tensors: dict[str, Any], divisors: tuple[float, ...]
) -> Decoder:
    own = Values({k: values.get(k) for k in _keys(family)}, values.where, f"{family}.")
    if own.get("expert_count"):
        raise own.refuse("expert_count", "mixtures of experts are not taken")
    scaling = own.get("rope.scaling.type")
    if scaling not in (None, "none", "linear"):
        raise own.refuse("rope.scaling.type", "of rotary scalings only linear is taken")
    heads, hidden = own.integer("attention.head_count"), own.integer("embedding_length")
    if own.get("attention.key_length") is None and (heads < 1 or hidden % heads):
        raise own.refuse("attention.head_count", f"{hidden} channels cannot be divided by it")
    size = own.integer("attention.key_length", hidden // max(heads, 1))
    for key in ("attention.value_length", "rope.dimension_count"):
        if own.integer(key, size) != size:
            raise own.refuse(key, f"it must be the size of a head, {size}")
    table = tensors.get("token_embd.weight")
    decoder = Decoder(
        family=family,
        layers=own.integer("block_count"),
        hidden=hidden,
        heads=heads,
        kv_heads=own.integer("attention.head_count_kv", heads),
        head_size=size,
        intermediate=own.integer("feed_forward_length"),
        vocabulary=int(table.shape[-1]) if table is not None else 0,
        epsilon=own.real("attention.layer_norm_rms_epsilon"),
        rope=Rope(
            own.real("rope.freq_base", 10000.0),
            factor=own.real("rope.scaling.factor", 1.0) if scaling == "linear" else 1.0,
            divisors=divisors,
        ),
        tied="output.weight" not in tensors,
        longest=own.integer("context_length", 0) or None,
        window=own.integer("attention.sliding_window", 0) or None,
    )
    decoder.check(values.where)
    return decoder


def _keys(family: str) -> tuple[str, ...]:
    """The fields that are read, so that none is asked for that another family has."""
    names = (
        "block_count context_length embedding_length feed_forward_length expert_count "
        "attention.head_count attention.head_count_kv attention.key_length attention.value_length "
        "attention.layer_norm_rms_epsilon attention.sliding_window rope.freq_base "
        "rope.dimension_count rope.scaling.type rope.scaling.factor"
    )
    return tuple(f"{family}.{name}" for name in names.split())


def _stored(tensor: Any, decoder: Decoder, where: str) -> Stored:
    shape = tuple(int(size) for size in reversed(tensor.shape))
    turned = None
    if decoder.family in _PAIRS:
        stem = tensor.name.rsplit(".", 1)[0].rsplit(".", 1)[-1]
        turned = {"attn_q": decoder.heads, "attn_k": decoder.kv_heads}.get(stem)

    def read() -> Floats:
        values = _dequantized(tensor, where).reshape(shape)
        return values if turned is None else _halves(values, turned)

    return Stored(tensor.name, shape, read)


def _halves(values: Floats, heads: int) -> Floats:
    """Rows of heads from neighbouring pairs to halves, the inverse of llama.cpp's `permute`."""
    rows = values.reshape(heads, values.shape[0] // heads // 2, 2, *values.shape[1:])
    return rows.swapaxes(1, 2).reshape(values.shape)


def _dequantized(tensor: Any, where: str) -> Floats:
    quants = library("gguf.quants")
    what = f"Tensor '{tensor.name}' is {tensor.tensor_type.name}, which cannot be read back"
    with refusals(what, where, "Take a file of another type, such as Q8_0 or F16."):
        return np.asarray(quants.dequantize(tensor.data, tensor.tensor_type), np.float32)
