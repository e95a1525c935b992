"""`llm_estimate`, `llm_package`, `llm_check`: a pair on a device."""

from __future__ import annotations

from pathlib import Path

from snapq.api.language_model_folders import opened_pair, refuse_other
from snapq.api.language_model_results import CheckedPackage, PackagedLanguageModel, SpeedEstimate
from snapq.api.language_models import llm_generate
from snapq.api.public import public
from snapq.api.shared import refuse_existing
from snapq.errors import ConfigError, DataError
from snapq.progress import Progress, Silent

__all__ = [
    "llm_check",
    "llm_estimate",
    "llm_package",
]


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
    opened, _ = opened_pair(folder)
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
    refuse_other(target, folder)
    profile = find(device)
    opened, _ = opened_pair(folder)
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
    opened, words = opened_pair(reference)
    check_same_model(opened, packed)
    facts = packed.facts
    ids = words.ids(prompt) if raw else asked(opened, words, prompt)
    room = facts.context - windows_of(ids, facts.prefill) * facts.prefill
    if not ids or room < 1:
        raise DataError(
            f"The question has {len(ids)} tokens; 1 to {facts.longest_prompt} leave room "
            "for an answer.",
            hint="Give another question, or write the graphs with a larger --context.",
        )
    count = min(tokens, room)
    wanted = llm_generate(reference, prompt, tokens=count, raw=raw)
    said = ask_package(packed, prompt, count, raw=raw)
    return CheckedPackage(said.prompt_tokens, wanted.tokens, said.tokens, said.text, said.seconds)
