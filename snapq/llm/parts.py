"""The tensors of a decoder: one name here for what each kind of file calls otherwise.

A linear layer is `[out, in]`; the rows of q and k lie so that RoPE turns the first half of a head
with its second, as in Transformers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from snapq.llm.architecture import Decoder

__all__ = ["LAYER", "TOP", "Part", "canonical", "expected_shape"]


@dataclass(frozen=True)
class Part:
    """A tensor of each layer, or one of the whole.

    Attributes:
        name: here.
        transformers: in safetensors.
        gguf: in GGUF.
        size: its rows and columns as names of sizes; a vector has rows alone.
        optional: whether a decoder may be without.
    """

    name: str
    transformers: str
    gguf: str
    size: tuple[str, ...]
    optional: bool = False


def _linear(name: str, transformers: str, gguf: str, rows: str, columns: str) -> tuple[Part, Part]:
    return (
        Part(f"{name}.weight", f"{transformers}.weight", f"{gguf}.weight", (rows, columns)),
        Part(f"{name}.bias", f"{transformers}.bias", f"{gguf}.bias", (rows,), optional=True),
    )


LAYER = (
    Part("norm1.weight", "input_layernorm.weight", "attn_norm.weight", ("hidden",)),
    *_linear("q", "self_attn.q_proj", "attn_q", "queries", "hidden"),
    *_linear("k", "self_attn.k_proj", "attn_k", "keys", "hidden"),
    *_linear("v", "self_attn.v_proj", "attn_v", "keys", "hidden"),
    *_linear("o", "self_attn.o_proj", "attn_output", "hidden", "queries"),
    Part("q_norm.weight", "self_attn.q_norm.weight", "attn_q_norm.weight", ("head_size",), True),
    Part("k_norm.weight", "self_attn.k_norm.weight", "attn_k_norm.weight", ("head_size",), True),
    Part("norm2.weight", "post_attention_layernorm.weight", "ffn_norm.weight", ("hidden",)),
    *_linear("gate", "mlp.gate_proj", "ffn_gate", "intermediate", "hidden"),
    *_linear("up", "mlp.up_proj", "ffn_up", "intermediate", "hidden"),
    *_linear("down", "mlp.down_proj", "ffn_down", "hidden", "intermediate"),
)
TOP = (
    Part(
        "embedding.weight",
        "model.embed_tokens.weight",
        "token_embd.weight",
        ("vocabulary", "hidden"),
    ),
    Part("norm.weight", "model.norm.weight", "output_norm.weight", ("hidden",)),
    Part("head.weight", "lm_head.weight", "output.weight", ("vocabulary", "hidden"), optional=True),
)
_OF_LAYER = re.compile(r"(?:model\.layers|blk)\.(\d{1,4})\.(.+)")


def canonical(name: str, kind: str) -> str | None:
    """The name here of a tensor of a file; None for one that a decoder does not have.

    Args:
        name: in the file.
        kind: `transformers` or `gguf`.
    """
    for part in TOP:
        if getattr(part, kind) == name:
            return part.name
    found = _OF_LAYER.fullmatch(name)
    if found is None:
        return None
    for part in LAYER:
        if getattr(part, kind) == found[2]:
            return f"layers.{int(found[1])}.{part.name}"
    return None


def expected_shape(part: Part, decoder: Decoder) -> tuple[int, ...]:
    """The shape that a tensor must have."""
    sizes = {
        "queries": decoder.heads * decoder.head_size,
        "keys": decoder.kv_heads * decoder.head_size,
    }
    return tuple(sizes[name] if name in sizes else getattr(decoder, name) for name in part.size)
