"""The `genai_config.json` with which onnxruntime-genai runs a pair.

Measured with onnxruntime-genai 0.16.0: with a pipeline and `slide_key_value_cache` it keeps the
newest positions last in a cache of uint8, feeds a prompt in windows, right-aligned, and masks what
holds `pad_token_id`. 0.17.1 and 0.18.0 ignore `slide_key_value_cache` where there is a pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapq.llm.cache import ATTENTION_MASK, INPUT_IDS, LOGITS, POSITION_IDS
from snapq.llm.files import Facts
from snapq.llm.program.chat import GENAI_VERSION

__all__ = ["GENAI_VERSION", "genai_config"]


def genai_config(
    facts: Facts, prefill: str, decode: str, provider: Mapping[str, str] | None
) -> dict[str, Any]:
    """What the file holds.

    Args:
        facts: of the pair; its cache is integers.
        prefill: the first graph, as a path in the folder.
        decode: the second.
        provider: options of the QNN provider; None for the CPU.
    """
    session: dict[str, Any] = {"log_id": "onnxruntime-genai", "provider_options": []}
    if provider is not None:
        session["provider_options"] = [{"qnn": dict(provider)}]
    stages = {"prompt": _stage(facts, prefill, facts.prefill, session)}
    stages["token"] = _stage(facts, decode, 1, session)
    decoder = {
        "session_options": session,
        "head_size": facts.head_size,
        "hidden_size": facts.hidden,
        "num_attention_heads": facts.heads,
        "num_hidden_layers": facts.layers,
        "num_key_value_heads": facts.kv_heads,
        "inputs": {
            INPUT_IDS: INPUT_IDS,
            POSITION_IDS: POSITION_IDS,
            ATTENTION_MASK: ATTENTION_MASK,
            "past_key_names": "past_key_%d",
            "past_value_names": "past_value_%d",
        },
        "outputs": {
            LOGITS: LOGITS,
            "present_key_names": "present_key_%d",
            "present_value_names": "present_value_%d",
        },
        "sliding_window": {
            "window_size": facts.prefill,
            "pad_value": _pad(facts),
            "alignment": "right",
            "slide_key_value_cache": True,
            "slide_inputs": True,
        },
        "pipeline": [stages],
    }
    return {
        "model": {
            "type": "decoder-pipeline",
            "bos_token_id": facts.beginning if facts.beginning is not None else _pad(facts),
            "eos_token_id": list(facts.ends) or [_pad(facts)],
            "pad_token_id": _pad(facts),
            "context_length": facts.context,
            "vocab_size": facts.vocabulary,
            "decoder": decoder,
        },
        "search": {
            "max_length": facts.context,
            "min_length": 0,
            "do_sample": False,
            "num_beams": 1,
            "num_return_sequences": 1,
            "past_present_share_buffer": False,
            "top_k": 1,
            "temperature": 1.0,
            "repetition_penalty": 1.0,
            "top_p": 1.0,
            "early_stopping": True,
        },
    }


def _pad(facts: Facts) -> int:
    """The id that stands for no token: masked by it, so it must not be in a prompt.

    Not that of an end, which stands inside of a conversation too.
    """
    taken = {*facts.ends, facts.beginning}
    return next(index for index in range(facts.vocabulary) if index not in taken)


def _stage(facts: Facts, file: str, rows: int, session: Mapping[str, Any]) -> dict[str, Any]:
    layout = facts.layout
    return {
        "filename": file,
        "inputs": [INPUT_IDS, POSITION_IDS, ATTENTION_MASK, *layout.inputs(rows)],
        "outputs": [LOGITS, *layout.outputs(rows)],
        "run_on_prompt": rows > 1,
        "run_on_token_gen": rows == 1,
        "session_options": dict(session),
    }
