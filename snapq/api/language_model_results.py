"""What `llm_init`, `llm_quantize` and their like give back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "CheckedPackage",
    "Evaluated",
    "FrontierPoint",
    "Generated",
    "LanguageModel",
    "PackagedLanguageModel",
    "QuantizedLanguageModel",
    "SpeedEstimate",
]


@dataclass(frozen=True)
class LanguageModel:
    """A folder with a pair of float graphs.

    Attributes:
        path: the folder.
        family: of the decoder, such as `llama`.
        layers: how many.
        parameters: how many numbers its weights are.
        context: positions that attention sees.
        prefill: tokens of a prompt at once.
    """

    path: Path
    family: str
    layers: int
    parameters: int
    context: int
    prefill: int


@dataclass(frozen=True)
class Generated:
    """What a model said.

    Attributes:
        prompt_tokens: of the question, as the model saw it.
        tokens: of the answer.
        text: of the answer.
        ended: whether the model ended it; else it was cut off.
    """

    prompt_tokens: int
    tokens: tuple[int, ...]
    text: str
    ended: bool


@dataclass(frozen=True)
class QuantizedLanguageModel:
    """A folder with a quantized pair.

    Attributes:
        path: the folder.
        precision: weights and activations, `w8a16`; the cache has 8 bits.
        tokens: that calibrated.
        logit_shift: largest difference that equalizing the cache made to the float logits.
        notes: sentences on what was left in float and why.
    """

    path: Path
    precision: str
    tokens: int
    logit_shift: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Evaluated:
    """How near a quantized pair is to the float one, computed by a device's simulator.

    Attributes:
        device: its name.
        tokens: that were predicted, each told what truly stands before it.
        float_perplexity: of the float pair, on the CPU.
        perplexity: of the quantized pair, simulated.
        agreement: share of the tokens for which both find the same one likeliest.
        sqnr_db: of the logits.
        seconds: that the simulation took.
    """

    device: str
    tokens: int
    float_perplexity: float
    perplexity: float
    agreement: float
    sqnr_db: float
    seconds: float


@dataclass(frozen=True)
class FrontierPoint:
    """What a mix of weights of 8 and 4 bits costs and gains.

    Attributes:
        precision: `w8a16` or `w4a16`.
        eight_bits: at w4a16, the parts and layers whose weights have 8 bits.
        device: whose time it is.
        estimated_on: whose estimate it is, where the device has none of its own.
        decode_us: of a token, estimated, accelerator time only.
        missing_ops: operators without a cost, which the time leaves out.
        ddr_bytes: traffic of a token.
        tokens: that were predicted, each told what truly stands before it.
        float_perplexity: of the float pair, on the CPU.
        perplexity: of the quantized pair, on the CPU.
        agreement: share of the tokens for which both find the same one likeliest.
        sqnr_db: of the logits.
        best: whether no other mix has less time and no higher perplexity.
    """

    precision: str
    eight_bits: tuple[str, ...]
    device: str
    estimated_on: str
    decode_us: float
    missing_ops: int
    ddr_bytes: int
    tokens: int
    float_perplexity: float
    perplexity: float
    agreement: float
    sqnr_db: float
    best: bool


@dataclass(frozen=True)
class SpeedEstimate:
    """Qualcomm's estimate for a pair, accelerator time only.

    Attributes:
        device: its name.
        estimated_on: whose estimate it is, where the device has none of its own.
        prefill_us: for `prefill_tokens` tokens at once.
        prefill_tokens: of the graph.
        decode_us: for one token.
        missing_ops: operators of both graphs without a cost, which the times leave out.
    """

    device: str
    estimated_on: str
    prefill_us: float
    prefill_tokens: int
    decode_us: float
    missing_ops: int

    @property
    def tokens_per_second(self) -> float:
        """Of decoding, without the call and without whoever runs it."""
        return 1e6 / self.decode_us


@dataclass(frozen=True)
class PackagedLanguageModel:
    """A folder for a device.

    Attributes:
        path: the folder.
        device: what for.
        separate_bytes: of the binaries of prefill and decode.
        shared_bytes: of the binary that holds both; None where it was not made.
        prefill_us: estimated, accelerator time; None where no device near has an estimate.
        decode_us: likewise.
    """

    path: Path
    device: str
    separate_bytes: int
    shared_bytes: int | None
    prefill_us: float | None
    decode_us: float | None


@dataclass(frozen=True)
class CheckedPackage:
    """What onnxruntime-genai said with a package, beside the float pair.

    Attributes:
        prompt_tokens: of the question.
        wanted: tokens of the float pair.
        tokens: tokens of the package.
        text: of these.
        seconds: that it took here.
    """

    prompt_tokens: int
    wanted: tuple[int, ...]
    tokens: tuple[int, ...]
    text: str
    seconds: float

    @property
    def same(self) -> int:
        """How many tokens from the first on are those of float."""
        pairs = zip(self.wanted, self.tokens, strict=False)
        return next(
            (index for index, (one, other) in enumerate(pairs) if one != other),
            min(len(self.wanted), len(self.tokens)),
        )

    @property
    def passed(self) -> bool:
        """Whether all tokens are those of float."""
        return self.wanted == self.tokens
