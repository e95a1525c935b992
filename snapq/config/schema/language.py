"""deploy.yaml of a language model: a pair of graphs, text, and limits of their own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from snapq.config.schema.base import FilePath, FromFile, Strict
from snapq.config.schema.gates import Positive, Share
from snapq.precision import PairPrecision

__all__ = [
    "GraphTimes",
    "LanguageDeployConfig",
    "LanguageGates",
    "PairModel",
    "PairPackage",
    "Text",
]

_MOST_TOKENS = 100_000
Tokens = Annotated[int, Field(ge=16, le=_MOST_TOKENS)]


class PairModel(Strict):
    """A language model: two float ONNX graphs of fixed shapes, with a cache of keys and values.

    The cache is among their inputs and outputs. `snapq llm init` writes such a pair from published
    weights.
    """

    prefill: FilePath
    """The graph that reads many tokens of a prompt at once."""
    decode: FilePath
    """The graph that reads one token; its weights are those of `prefill`."""
    tokenizer: FilePath | None = None
    """`tokenizer.json`; the one beside `prefill` where not given. What ends an answer and the chat
    template are read from the files beside it: `llm.json`, or `config.json`,
    `generation_config.json` and `tokenizer_config.json` as Transformers has them."""


class Text(Strict):
    """Text in UTF-8, like what the model will read and write."""

    calibration: FilePath
    """The text that calibrates."""
    calibration_tokens: Tokens = 1024
    """Use at most so many of its tokens."""
    evaluation: FilePath | None = None
    """Another text, on which the quantized pair is compared with the float one, simulated; nothing
    is compared where not given."""
    evaluation_tokens: Tokens = 256
    """Use at most so many of its tokens: 128 of a model of 135M parameters take half a minute."""


class PairPackage(Strict):
    """The folder that onnxruntime-genai runs on a device."""

    shared: bool = True
    """Whether both graphs are also compiled into one binary, which holds the weights once."""


class GraphTimes(Strict):
    """A limit for each graph, in microseconds of accelerator time."""

    prefill: Positive | None = None
    """Of a window of a prompt."""
    decode: Positive | None = None
    """Of a token."""


class LanguageGates(Strict):
    """Limits of a run; a gate that fails, or finds no figure, ends the run with exit code 1.

    `{DEVICE: LIMIT}` in the place of a limit judges each device by one of its own.
    """

    max_perplexity_ratio: Positive | Annotated[dict[str, Positive], Field(min_length=1)] | None = (
        None
    )
    """Highest perplexity of the quantized pair over that of the float one, on `text.evaluation`."""
    min_next_token_agreement: Share | Annotated[dict[str, Share], Field(min_length=1)] | None = None
    """Lowest share of tokens for which both pairs find the same next one likeliest."""
    min_sqnr_db: float | Annotated[dict[str, float], Field(min_length=1)] | None = None
    """Lowest SQNR of the logits, in dB."""
    max_estimated_us: GraphTimes | Annotated[dict[str, GraphTimes], Field(min_length=1)] | None = (
        None
    )
    """Longest estimate: `{prefill: 10300, decode: 3400}`, or such a one by device."""
    max_shared_ratio: Positive | Annotated[dict[str, Positive], Field(min_length=1)] | None = None
    """Largest size of the binary of both graphs, over the sum of one for each."""
    max_bundle_mb: Positive | None = None
    """Largest size of what is packaged, all files together, in MB (1,000,000 bytes)."""


class LanguageDeployConfig(FromFile):
    """A deployment of a language model: deploy.yaml with `model: {prefill: …, decode: …}`."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    """Names the run's folder: up to 100 letters, digits, `.`, `_` and `-`, the first one a letter
    or a digit."""
    model: PairModel
    devices: Annotated[tuple[str, ...], Field(min_length=1)]
    """Device profiles to compile for; `snapq devices` lists them."""
    text: Text
    precision: PairPrecision = PairPrecision.W8A16
    """Weights and activations; the cache has 8 bits."""
    eight_bits: tuple[str, ...] | None = None
    """At w4a16, the parts whose weights have 8 bits, of q, k, v, o, gate, up, down and head, and
    numbers of layers in quotes; v, o, down and head where not given. `snapq llm frontier` shows
    what each costs and gains."""
    contexts: Annotated[tuple[Annotated[int, Field(ge=16, le=_MOST_TOKENS)], ...], Field()] = ()
    """Further sizes of the context for which a token is estimated on the first device, for the
    report; each takes as long as the estimate of `decode`."""
    package: PairPackage = PairPackage()
    gates: LanguageGates = LanguageGates()
