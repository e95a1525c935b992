"""`llm_init`, `llm_quantize` and their like: decoder language models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.language_model_results import (
    CheckedPackage,
    Evaluated,
    Generated,
    LanguageModel,
    PackagedLanguageModel,
    QuantizedLanguageModel,
    SpeedEstimate,
)
from snapq.api.public import public
from snapq.api.shared import refuse_existing
from snapq.errors import ConfigError, DataError
from snapq.progress import Progress, Silent

if TYPE_CHECKING:
    from snapq.llm.files import Folder
    from snapq.llm.tokens import Tokens

__all__ = [
    "llm_check",
    "llm_estimate",
    "llm_evaluate",
    "llm_generate",
    "llm_init",
    "llm_package",
    "llm_quantize",
]


_QUESTIONS = 4
"""Paragraphs of a calibration text that also calibrate as questions by the chat template."""


@public
def llm_init(
    weights: str | Path,
    output: str | Path,
    *,
    context: int = 256,
    prefill: int = 128,
    overwrite: bool = False,
) -> LanguageModel:
    """Writes a decoder of the Llama type as two float graphs of fixed shapes.

    `prefill.onnx` reads `prefill` tokens of a prompt at once, `decode.onnx` one token; both take
    and give the cache of keys and values, and read their weights from one `weights.bin`.

    Args:
        weights: a GGUF file, or a folder with safetensors, config.json and tokenizer.json.
        output: the folder to write.
        context: positions that attention sees: prompt and answer together.
        prefill: tokens of a prompt at once, at most half of the context.
        overwrite: whether `output` may exist; it is replaced as a whole.

    Raises:
        ConfigError: the sizes do not fit, or `output` exists.
        ModelError: the weights cannot be read, or are of a kind that is not taken.
        InstallError: a library of the extra `llm` is missing.
        StorageError: the folder cannot be written.
    """
    from snapq.llm.reading.open import read_checkpoint
    from snapq.llm.write import Sizes, check_sizes, prepared_weights, write_pair

    folder = Path(output)
    refuse_existing(folder, overwrite)
    _refuse_other(folder, weights)
    checkpoint = read_checkpoint(Path(weights))
    sizes = Sizes(context, prefill)
    check_sizes(checkpoint, sizes)
    facts = write_pair(checkpoint, prepared_weights(checkpoint), sizes, folder)
    parameters = checkpoint.weights.parameters
    return LanguageModel(folder, facts.family, facts.layers, parameters, context, prefill)


@public
def llm_generate(
    folder: str | Path,
    prompt: str,
    *,
    tokens: int = 64,
    raw: bool = False,
    device: str | None = None,
) -> Generated:
    """Lets the graphs of a folder answer, the likeliest token each.

    Args:
        folder: what `llm_init` or `llm_quantize` wrote.
        prompt: the question.
        tokens: at most so many.
        raw: take the prompt as it is, and not as a question by the model's chat template.
        device: on the simulator of this one's NPU, which takes seconds a token; on this machine's
            CPU where not given.

    Raises:
        DataError: the prompt is empty, or longer than the context.
        ModelError: the folder is none, or damaged.
        InstallError: a library of the extra `llm` is missing.
    """
    from snapq.devices.profiles import find
    from snapq.llm.chat import asked
    from snapq.llm.evidence import on_cpu, simulated
    from snapq.llm.files import TOKENIZER, Folder
    from snapq.llm.tokens import Tokens

    if tokens < 1:
        raise ConfigError(f"An answer of {tokens} tokens is none.", where="--tokens")
    opened = Folder.open(Path(folder))
    facts = opened.facts
    words = Tokens.read(opened.path / TOKENIZER)
    ids = words.ids(prompt) if raw else asked(opened, words, prompt)
    if device is None:
        said = on_cpu(opened).continued(ids, tokens, facts.ends)
    else:
        with simulated(opened, find(device)) as speaker:
            said = speaker.continued(ids, tokens, facts.ends)
    full = len(ids) + len(said) >= facts.context
    return Generated(len(ids), tuple(said), words.text(said), len(said) < tokens and not full)


@public
def llm_quantize(
    folder: str | Path,
    text: str | Path,
    output: str | Path,
    devices: Sequence[str],
    *,
    tokens: int = 1024,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> QuantizedLanguageModel:
    """Quantizes a float pair to w8a16 with a cache of 8 bits, with one set of encodings for both.

    Keys and values are equalized first, which leaves the float logits what they are; then prefill
    is calibrated with the text, window by window with the cache before it, and decode takes the
    encodings that were found.

    Args:
        folder: what `llm_init` wrote.
        text: a file of UTF-8 text like what the model will read and write.
        output: the folder to write.
        devices: what the pair shall run on.
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
    from snapq.llm.chat import questions
    from snapq.llm.quantize import Target, quantize_pair
    from snapq.llm.store import write_quantized
    from snapq.llm.texts import windows_of

    target = Path(output)
    refuse_existing(target, overwrite)
    _refuse_other(target, folder)
    if not devices:
        raise ConfigError("No device is named.", where="--device", hint="Name at least one.")
    profiles = [find(name) for name in devices]
    opened, words = _opened(folder)
    if opened.facts.cache is not None:
        raise ModelError(
            "The pair is quantized already.",
            where=str(opened.path),
            hint="Give the folder that `snapq llm init` wrote.",
        )
    texts = _passages(opened, words, Path(text), tokens)
    texts += questions(opened, words, Path(text).read_text(encoding="utf-8"), _QUESTIONS)
    wanted = Target(
        min(profile.architecture for profile in profiles),
        all("fp16" in profile.precisions for profile in profiles),
    )
    count = sum(windows_of(one, opened.facts.prefill) for one in texts)
    with (progress or Silent()).track("calibrating", count) as advance:
        pair = quantize_pair(opened, texts, wanted, advance)
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
    from snapq.llm.evidence import check_same_model, prove

    profile = find(device)
    opened, words = _opened(folder)
    given, _ = _opened(reference)
    check_same_model(given, opened)
    texts = _passages(opened, words, Path(text), tokens)
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


@public
def llm_estimate(folder: str | Path, device: str) -> SpeedEstimate:
    """Qualcomm's estimates of both graphs of a pair; every node must run on the NPU.

    Args:
        folder: what `llm_init` or `llm_quantize` wrote.
        device: what for.

    Raises:
        DeviceError: the device is unknown, or cannot do what is asked.
        ModelError: the folder is none.
        QnnError: a graph does not compile, or a node does not run on the NPU.
    """
    from snapq.devices.profiles import find
    from snapq.llm.files import DECODE, PREFILL
    from snapq.npu.model import Model

    profile = find(device)
    opened, _ = _opened(folder)
    prefill, decode = (
        Model(opened.path / name, profile).estimate(name.removesuffix(".onnx"))
        for name in (PREFILL, DECODE)
    )
    missing = prefill.missing_ops + decode.missing_ops
    return SpeedEstimate(
        profile.name,
        decode.estimated_on,
        prefill.us,
        opened.facts.prefill,
        decode.us,
        missing,
    )


@public
def llm_package(
    folder: str | Path,
    output: str | Path,
    device: str,
    *,
    shared: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PackagedLanguageModel:
    """Compiles a quantized pair for a device into a folder that onnxruntime-genai runs.

    Args:
        folder: what `llm_quantize` wrote.
        output: the folder to write.
        device: what for.
        shared: whether both graphs are also compiled into one binary, which holds the weights once.
        overwrite: whether `output` may exist; it is replaced as a whole.
        progress: progress reporter; nothing is shown where not given.

    Raises:
        ConfigError: `output` exists.
        DeviceError: the device is unknown.
        ModelError: the folder is none, or its pair is float.
        QnnError: a graph does not compile, or a node does not run on the NPU.
    """
    from snapq.devices.profiles import find
    from snapq.errors import ModelError
    from snapq.llm.package import package

    target = Path(output)
    refuse_existing(target, overwrite)
    _refuse_other(target, folder)
    profile = find(device)
    opened, _ = _opened(folder)
    if opened.facts.cache is None:
        raise ModelError(
            "The pair is float, and onnxruntime-genai slides a cache of 8 bits only.",
            where=str(opened.path),
            hint="Quantize it first: snapq llm quantize",
        )
    told = (progress or Silent()).say
    found = package(opened, profile, target, shared=shared, told=told)
    return PackagedLanguageModel(
        target,
        profile.name,
        found.separate_bytes,
        found.shared_bytes,
        found.prefill.us if found.prefill is not None else None,
        found.decode.us if found.decode is not None else None,
    )


@public
def llm_check(
    package: str | Path,
    reference: str | Path,
    prompt: str,
    *,
    tokens: int = 8,
    raw: bool = False,
) -> CheckedPackage:
    """Lets onnxruntime-genai answer with a package, and compares with the float pair's tokens.

    On x86_64 Linux the simulator stands for the NPU: seconds a token.

    Args:
        package: what `llm_package` wrote; its separate graphs are run.
        reference: the float pair.
        prompt: the question.
        tokens: at most so many; fewer where the package has no room for more.
        raw: take the prompt as it is, and not as a question by the model's chat template.

    Raises:
        DataError: the prompt is empty, or leaves no room for an answer.
        InstallError: onnxruntime-genai is missing, or of another version.
        ModelError: a folder is none, or they are not of one model.
        QnnError: onnxruntime-genai does not run the package.
    """
    from snapq.llm.chat import asked
    from snapq.llm.evidence import check_same_model
    from snapq.llm.files import Folder
    from snapq.llm.talk import ask_package
    from snapq.llm.texts import windows_of

    if tokens < 1:
        raise ConfigError(f"An answer of {tokens} tokens is none.", where="--tokens")
    packed = Folder.open_package(Path(package))
    opened, words = _opened(reference)
    check_same_model(opened, packed)
    facts = packed.facts
    ids = words.ids(prompt) if raw else asked(opened, words, prompt)
    room = facts.context - windows_of(ids, facts.prefill) * facts.prefill
    if not ids or room < 1:
        raise DataError(
            f"The question has {len(ids)} tokens; 1 to {facts.context - facts.prefill} leave room "
            "for an answer.",
            hint="Give another question, or write the graphs with a larger --context.",
        )
    count = min(tokens, room)
    wanted = llm_generate(reference, prompt, tokens=count, raw=raw)
    said = ask_package(packed, prompt, count, raw=raw)
    return CheckedPackage(said.prompt_tokens, wanted.tokens, said.tokens, said.text, said.seconds)


def _opened(folder: str | Path) -> tuple[Folder, Tokens]:
    """A folder of a pair, and its tokenizer."""
    from snapq.llm.files import TOKENIZER, Folder
    from snapq.llm.tokens import Tokens

    opened = Folder.open(Path(folder))
    return opened, Tokens.read(opened.path / TOKENIZER)


def _passages(folder: Folder, words: Tokens, text: Path, tokens: int) -> list[list[int]]:
    """The passages of a file of text. Raises `DataError`."""
    from snapq.llm.texts import passages

    try:
        held = text.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"It cannot be read: {error.strerror}.", where=str(text)) from error
    except UnicodeDecodeError as error:
        raise DataError("It is no text in UTF-8.", where=str(text)) from error
    return passages(held, words, folder.facts.context, tokens, str(text))


def _refuse_other(folder: Path, source: str | Path) -> None:
    """Refuses to replace what is read, or a folder that holds something else than a model."""
    from snapq.llm.files import FACTS

    if Path(source).resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            "It is what is read, or holds it, and would be replaced as a whole.",
            where=str(folder),
            hint="Name another folder.",
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / FACTS).is_file():
        raise ConfigError(
            "The folder holds something else, and would be replaced as a whole.",
            where=str(folder),
            hint="Name a new folder.",
        )
