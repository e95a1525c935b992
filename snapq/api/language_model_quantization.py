"""`llm_quantize`, `llm_evaluate`: a float pair quantized, and how near the two are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snapq.api.language_model_folders import opened_pair, refuse_other
from snapq.api.language_model_results import Evaluated, QuantizedLanguageModel
from snapq.api.public import public
from snapq.api.shared import refuse_existing
from snapq.errors import ConfigError, did_you_mean
from snapq.precision import PairPrecision
from snapq.progress import Progress, Silent

__all__ = [
    "llm_evaluate",
    "llm_quantize",
]


@public
def llm_quantize(
    folder: str | Path,
    text: str | Path,
    output: str | Path,
    devices: Sequence[str],
    *,
    precision: str = PairPrecision.W8A16,
    eight_bits: Sequence[str] | None = None,
    tokens: int = 1024,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> QuantizedLanguageModel:
    """Quantizes a float pair with a cache of 8 bits, with one set of encodings for both graphs.

    Keys and values are equalized and the residual stream is turned first, which leaves the float
    logits what they are; weights of 4 bits are rounded layer after layer; then prefill is
    calibrated with the text, window by window with the cache before it, and decode takes the
    encodings that were found.

    Args:
        folder: what `llm_init` wrote.
        text: a file of UTF-8 text like what the model will read and write.
        output: the folder to write.
        devices: what the pair shall run on.
        precision: `w8a16`, or `w4a16` with weights of 4 bits in q, k, gate and up, 8 in the rest.
        eight_bits: at w4a16 the parts whose weights have 8 bits, of q, k, v, o, gate, up, down and
            head, and numbers of layers; v, o, down and head where not given.
        tokens: use at most so many of the text's.
        overwrite: whether `output` may exist; it is replaced as a whole.
        progress: progress reporter; nothing is shown where not given.

    Raises:
        ConfigError: an option does not fit, or `output` exists.
        DataError: the text is too short or no text.
        DeviceError: a device is unknown.
        ModelError: the folder is none, or is quantized already.
    """
    from snapq.devices.profiles import find
    from snapq.errors import ModelError
    from snapq.llm.calibration import calibration_texts, target_of
    from snapq.llm.quantize import quantize_pair
    from snapq.llm.store import write_quantized
    from snapq.llm.texts import windows_of
    from snapq.llm.wide import wide_parts

    target = Path(output)
    refuse_existing(target, overwrite)
    refuse_other(target, folder)
    wanted_precision = _precision(precision)
    if not devices:
        raise ConfigError("No device is named.", where="--device", hint="Name at least one.")
    profiles = [find(name) for name in devices]
    opened, words = opened_pair(folder)
    if opened.facts.cache is not None:
        raise ModelError(
            "The pair is quantized already.",
            where=str(opened.path),
            hint="Give the folder that `snapq llm init` wrote.",
        )
    wide = wide_parts(eight_bits, wanted_precision, opened.facts.layers, "--eight-bits")
    texts = calibration_texts(opened, words, Path(text), tokens)
    count = sum(windows_of(one, opened.facts.prefill) for one in texts)
    if wanted_precision is not PairPrecision.W8A16:
        count += opened.facts.layers
    with (progress or Silent()).track("calibrating", count) as advance:
        pair = quantize_pair(
            opened, texts, target_of(profiles), advance, precision=wanted_precision, wide=wide
        )
    written = write_quantized(pair, opened, target)
    notes = tuple(note.text for note in pair.notes)
    return QuantizedLanguageModel(target, written.facts.precision, pair.tokens, pair.shift, notes)


@public
def llm_evaluate(
    folder: str | Path,
    reference: str | Path,
    text: str | Path,
    device: str,
    *,
    tokens: int = 256,
    progress: Progress | None = None,
) -> Evaluated:
    """Compares a quantized pair with the float one on a text, on the simulator of a device.

    Both are told what truly stands before each token: the perplexity is that of the text, and the
    likeliest next tokens are compared. Windows of prefill are computed with all of their logits.

    Args:
        folder: what `llm_quantize` wrote.
        reference: the float pair that it was quantized from.
        text: a file of UTF-8 text that did not calibrate.
        device: whose arithmetic to use.
        tokens: use at most so many of the text's; 128 take about half a minute.
        progress: progress reporter; nothing is shown where not given.

    Raises:
        DataError: the text is too short or no text.
        DeviceError: the device is unknown.
        ModelError: a folder is none, or they are not of one model.
        QnnError: the graph does not compile, or a node does not run on the NPU.
    """
    from snapq.devices.profiles import find
    from snapq.llm.calibration import read_passages
    from snapq.llm.evidence import check_same_model, prove

    profile = find(device)
    opened, words = opened_pair(folder)
    given, _ = opened_pair(reference)
    check_same_model(given, opened)
    texts = read_passages(opened.facts.context, words, Path(text), tokens)
    reporter = progress or Silent()
    found = prove(given, opened, profile, texts, reporter.say)
    judged = found.judged
    return Evaluated(
        found.device,
        judged.tokens,
        judged.float_perplexity,
        judged.perplexity,
        judged.agreement,
        judged.sqnr_db,
        found.seconds,
    )


def _precision(name: str) -> PairPrecision:
    known = [one.value for one in PairPrecision]
    if name not in known:
        raise ConfigError(
            f"There is no precision '{name}' of language models.",
            where="--precision",
            hint=did_you_mean(name, known, f"There are: {', '.join(known)}."),
        )
    return PairPrecision(name)
