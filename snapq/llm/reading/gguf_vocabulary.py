"""Writes the tokenizer that a GGUF file holds as the `tokenizer.json` of the library tokenizers.

Source of how text is cut in front of byte-pair encoding: llama.cpp, `llama-vocab.cpp`.
"""

from __future__ import annotations

import json
from typing import Any

from snapq.errors import ModelError
from snapq.llm.libraries import library, refusals
from snapq.llm.reading.checkpoint import Vocabulary
from snapq.llm.reading.values import Values

__all__ = ["vocabulary_of"]

_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)
_CUTS = {"gpt-2": None, "smollm": "digits", "llama-bpe": _LLAMA3, "qwen2": _QWEN2}
"""Values of `tokenizer.ggml.pre`, and how they cut a text."""
_CONTROL, _USER = 3, 4
"""Types of tokens that stand for themselves in a text."""
_HINT = "Put the tokenizer.json that was published with the model beside the GGUF file."


def vocabulary_of(values: Values) -> Vocabulary:
    """The tokens of a GGUF file.

    Raises:
        ModelError: they are of a kind that is not taken, or damaged.
    """
    if values.get("tokenizer.ggml.model") != "gpt2":
        raise _refused(values, "tokenizer.ggml.model", "only byte-pair encoding (gpt2) is taken")
    if values.get("tokenizer.ggml.pre") not in _CUTS:
        raise _refused(values, "tokenizer.ggml.pre", f"only {', '.join(_CUTS)} are taken")
    tokens = _texts(values, "tokenizer.ggml.tokens")
    merges = [tuple(one.split(" ")) for one in _texts(values, "tokenizer.ggml.merges")]
    kinds = values.get("tokenizer.ggml.token_type")
    kinds = kinds if isinstance(kinds, list) else []
    special = [text for text, kind in zip(tokens, kinds, strict=False) if kind in (_CONTROL, _USER)]
    beginning = values.get("tokenizer.ggml.bos_token_id")
    end = values.get("tokenizer.ggml.eos_token_id")
    template = values.get("tokenizer.chat_template")
    first = beginning if values.get("tokenizer.ggml.add_bos_token") else None
    if first is not None and not (isinstance(first, int) and 0 <= first < len(tokens)):
        raise values.wrong("tokenizer.ggml.bos_token_id", "the number of a token")
    cut = str(values.get("tokenizer.ggml.pre"))
    with refusals("Its tokens do not fit together", values.where):
        tokenizer = _tokenizer(tokens, merges, special, cut, first)
    return Vocabulary(
        json.loads(tokenizer),
        beginning if isinstance(beginning, int) else None,
        (end,) if isinstance(end, int) else (),
        template if isinstance(template, str) else None,
    )


def _tokenizer(
    tokens: list[str],
    merges: list[tuple[str, ...]],
    special: list[str],
    cut: str,
    first: int | None,
) -> str:
    """The JSON of the tokenizer; `first` is the token that it puts in front of a text."""
    library("tokenizers")
    models, normalizers = library("tokenizers.models"), library("tokenizers.normalizers")
    cuts, decoders = library("tokenizers.pre_tokenizers"), library("tokenizers.decoders")
    vocabulary = {text: index for index, text in enumerate(tokens)}
    whole = library("tokenizers").Tokenizer(models.BPE(vocabulary, merges))
    pattern = _CUTS[cut]
    plain = pattern is None or pattern == "digits"
    steps: list[Any] = [cuts.ByteLevel(add_prefix_space=False, use_regex=plain)]
    if pattern == "digits":
        steps.insert(0, cuts.Digits(individual_digits=True))
    elif pattern is not None:
        steps.insert(0, cuts.Split(library("tokenizers").Regex(pattern), "isolated"))
    whole.pre_tokenizer = cuts.Sequence(steps)
    if cut == "qwen2":
        whole.normalizer = normalizers.NFC()
    whole.decoder = decoders.ByteLevel()
    whole.add_special_tokens(special)
    if first is not None:
        text = tokens[first]
        whole.post_processor = library("tokenizers.processors").TemplateProcessing(
            single=f"{text} $A", special_tokens=[(text, first)]
        )
    return str(whole.to_str())


def _texts(values: Values, key: str) -> list[str]:
    found = values.get(key)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise values.wrong(key, "a list of texts")
    return found


def _refused(values: Values, key: str, why: str) -> ModelError:
    error = values.refuse(key, why)
    return ModelError(error.what, where=error.where, hint=_HINT)
