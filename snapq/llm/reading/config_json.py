"""The decoder that a `config.json` of Transformers describes, or why it is not taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapq.errors import ModelError
from snapq.llm.architecture import Decoder, Llama3Scaling, Rope
from snapq.llm.reading.values import Values

__all__ = ["FAMILIES", "decoder_of"]

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
"""Values of `model_type`; SmolLM2 and TinyLlama are `llama`."""
_REFUSED = {
    "num_local_experts": "mixtures of experts are not taken",
    "num_experts": "mixtures of experts are not taken",
    "quantization_config": "quantized weights are not taken; give the float ones, or a GGUF file",
    "no_rope_layers": "layers without positions are not taken",
    "attn_logit_softcapping": "capped logits are not taken",
    "final_logit_softcapping": "capped logits are not taken",
    "vision_config": "models that see are not taken",
}


def decoder_of(config: Mapping[str, Any], where: str, has_head: bool) -> Decoder:
    """Reads and checks a configuration.

    Args:
        config: the contents of the file.
        where: the file, for messages.
        has_head: whether the weights have a head of their own.

    Raises:
        ModelError: a key is missing or wrong, or the model is of a kind that is not taken.
    """
    values = Values(config, where)
    family = values.get("model_type")
    if family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise values.refuse("model_type", f"only {known} are taken")
    for key, why in _REFUSED.items():
        if values.get(key):
            raise values.refuse(key, why)
    if values.get("hidden_act") not in (None, "silu", "swish"):
        raise values.refuse("hidden_act", "only silu is taken")
    if values.get("partial_rotary_factor") not in (None, 1, 1.0):
        raise values.refuse("partial_rotary_factor", "only whole heads are turned")
    heads = values.integer("num_attention_heads")
    hidden = values.integer("hidden_size")
    if values.get("head_dim") is None and (heads < 1 or hidden % heads):
        raise values.refuse("num_attention_heads", f"{hidden} channels cannot be divided by it")
    decoder = Decoder(
        family=str(family),
        layers=values.integer("num_hidden_layers"),
        hidden=hidden,
        heads=heads,
        kv_heads=values.integer("num_key_value_heads", heads),
        head_size=values.integer("head_dim", hidden // max(heads, 1)),
        intermediate=values.integer("intermediate_size"),
        vocabulary=values.integer("vocab_size"),
        epsilon=values.real("rms_norm_eps", 1e-6),
        rope=_rope(values),
        tied=_tied(values, has_head),
        longest=values.integer("max_position_embeddings", 0) or None,
        window=_window(values, str(family)),
    )
    decoder.check(where)
    return decoder


def _tied(values: Values, has_head: bool) -> bool:
    tied = values.get("tie_word_embeddings")
    if tied is False and not has_head:
        raise ModelError(
            "`tie_word_embeddings` is false, and the weights have no 'lm_head.weight'.",
            where=values.where,
            hint="Check that the download is whole.",
        )
    return bool(tied) or not has_head


def _window(values: Values, family: str) -> int | None:
    """How many positions attention sees; None for all."""
    kinds = values.get("layer_types")
    if isinstance(kinds, list) and any(kind != "full_attention" for kind in kinds):
        if any(kind != "sliding_attention" for kind in kinds if kind != "full_attention"):
            raise values.refuse("layer_types", "only full and sliding attention are known")
        return values.integer("sliding_window")
    if values.get("sliding_window") is None or isinstance(kinds, list):
        return None
    if family != "mistral" and not values.get("use_sliding_window"):
        return None
    return values.integer("sliding_window")


def _rope(values: Values) -> Rope:
    """The rotary embedding; Transformers 5 writes `rope_parameters`, older ones `rope_scaling`."""
    held = values.get("rope_parameters")
    scaling = held if held is not None else values.get("rope_scaling")
    if scaling is not None and not isinstance(scaling, dict):
        raise values.wrong("rope_scaling", "a mapping")
    inner = Values(scaling or {}, values.where, "")
    base = inner.get("rope_theta")
    base = values.real("rope_theta", 10000.0) if base is None else inner.real("rope_theta")
    if inner.get("partial_rotary_factor") not in (None, 1, 1.0):
        raise inner.refuse("partial_rotary_factor", "only whole heads are turned")
    kind = inner.get("rope_type") or inner.get("type") or "default"
    if kind == "default":
        return Rope(base)
    if kind == "linear":
        return Rope(base, factor=inner.real("factor"))
    if kind == "llama3":
        scaled = Llama3Scaling(
            inner.real("factor"),
            inner.real("low_freq_factor"),
            inner.real("high_freq_factor"),
            inner.integer("original_max_position_embeddings"),
        )
        if not 0 < scaled.low_frequency_factor < scaled.high_frequency_factor or scaled.factor <= 0:
            raise values.refuse("rope_scaling", "its factors are out of order")
        return Rope(base, llama3=scaled)
    key = "rope_parameters" if held is not None else "rope_scaling"
    raise values.refuse(key, f"of rotary scalings only linear and llama3 are taken, not {kind}")
