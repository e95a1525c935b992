"""A folder that onnxruntime-genai runs on a device: compiled graphs, tokens, and how to talk."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from snapq import storage
from snapq.devices.profiles import DeviceProfile
from snapq.llm.files import DECODE, FACTS, PREFILL, PROGRAM, SEPARATE, Folder
from snapq.llm.genai import GENAI_VERSION, genai_config
from snapq.llm.program import chat
from snapq.llm.store import copy_tokens
from snapq.npu import model as npu
from snapq.npu.shared import compile_shared
from snapq.records import EstimateRecord
from snapq.storage import sha256_file
from snapq.version import __version__

__all__ = ["MANIFEST", "PackagedModel", "package"]

MANIFEST = "manifest.json"
SHARED = "shared"
_KINDS = (SEPARATE, SHARED)
_CONFIG = "genai_config.json"
_NAMES = {PREFILL: "prefill", DECODE: "decode"}


@dataclass(frozen=True)
class PackagedModel:
    """What was written.

    Attributes:
        separate_bytes: of both binaries.
        shared_bytes: of the one that holds the weights once; None where it was not made.
        prefill: the estimate, where the device has one or is near to one that has.
        decode: likewise.
    """

    separate_bytes: int
    shared_bytes: int | None
    prefill: EstimateRecord | None
    decode: EstimateRecord | None


def package(
    source: Folder,
    device: DeviceProfile,
    folder: Path,
    *,
    shared: bool = True,
    told: Callable[[str], None] = lambda _: None,
) -> PackagedModel:
    """Compiles a quantized pair for a device and writes the folder.

    Args:
        source: the quantized pair.
        device: what for.
        folder: to write; replaced as a whole.
        shared: whether to compile the pair with one binary too, which takes as long again.
        told: what is being done.

    Raises:
        QnnError: a graph does not compile, or a node does not run on the NPU.
        StorageError: the folder cannot be written.
    """
    provider = _provider(device)
    with storage.atomic_folder(folder) as path:
        estimates: dict[str, EstimateRecord | None] = {}
        for file, name in _NAMES.items():
            told(f"compiling {name} for {device.name}")
            done = npu.Model(source.path / file, device).compile(path / SEPARATE / name, label=name)
            estimates[name] = done.estimate
        names = [f"{name}/{npu.CONTEXT_NAME}" for name in _NAMES.values()]
        config = genai_config(source.facts, names[0], names[1], provider)
        storage.write_json(path / SEPARATE / _CONFIG, config)
        if shared:
            told(f"compiling both for {device.name} with one binary")
            models = {name: source.path / file for file, name in _NAMES.items()}
            compile_shared(models, device, path / SHARED)
            names = [f"{name}_ctx.onnx" for name in _NAMES.values()]
            config = genai_config(source.facts, names[0], names[1], provider)
            storage.write_json(path / SHARED / _CONFIG, config)
        copy_tokens(source.path, path)
        with storage.storage_errors(path):
            shutil.copyfile(source.path / FACTS, path / FACTS)
            shutil.copyfile(Path(chat.__file__), path / PROGRAM)
        sizes = [sum(f.stat().st_size for f in (path / kind).rglob("*.bin")) for kind in _KINDS]
        found = PackagedModel(sizes[0], sizes[1] or None, estimates["prefill"], estimates["decode"])
        storage.write_text(path / "README.md", _readme(source, device, found))
        storage.write_json(path / MANIFEST, _manifest(source, device, found, path))
    return found


def _provider(device: DeviceProfile) -> dict[str, str]:
    """Options of the provider on the device."""
    options = {
        "backend_type": "htp",
        "soc_model": str(device.soc_id),
        "offload_graph_io_quantization": "0",
        "htp_performance_mode": "burst",
    }
    if "fp16" in device.precisions:
        options["enable_htp_fp16_precision"] = "1"
    return options


def _manifest(
    source: Folder, device: DeviceProfile, found: PackagedModel, folder: Path
) -> dict[str, object]:
    facts = source.facts
    cache = sum(math.prod(shape) for shape in facts.layout.inputs(0).values())
    times = {
        name: None
        if record is None
        else {
            "us": record.us,
            "estimated_on": record.estimated_on,
            "missing_ops": record.missing_ops,
        }
        for name, record in (("prefill", found.prefill), ("decode", found.decode))
    }
    return {
        "schema": "snapq.llm/1",
        "snapq": __version__,
        "device": device.name,
        "soc_id": device.soc_id,
        "onnxruntime_genai": GENAI_VERSION,
        "precision": facts.precision,
        "limits": {
            "context": facts.context,
            "prompt_window": facts.prefill,
            "longest_prompt": facts.longest_prompt,
            "cache_bytes": cache,
        },
        "binary_bytes": {SEPARATE: found.separate_bytes, SHARED: found.shared_bytes},
        "estimated": times,
        "files": {
            str(file.relative_to(folder)): sha256_file(file)
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        },
    }


def _readme(source: Folder, device: DeviceProfile, found: PackagedModel) -> str:
    facts = source.facts
    lines = [
        f"# A language model for {device.name}",
        "",
        f"{facts.family}, {facts.layers} layers, {facts.precision} with a cache of 8 bits. Made by "
        f"snapq {__version__}.",
        "",
        "```sh",
        f"pip install onnxruntime-genai=={GENAI_VERSION} onnxruntime-qnn tokenizers jinja2",
        'python chat.py "What is the capital of Italy?"',
        "```",
        "",
        f"- `separate/`: prefill and decode with a binary each, "
        f"{found.separate_bytes / 1e6:,.1f} MB. Qualcomm's simulator runs them.",
    ]
    if found.shared_bytes is not None:
        lines.append(
            f"- `shared/`: both in one binary, {found.shared_bytes / 1e6:,.1f} MB: `python chat.py "
            "--folder shared`. The simulator loads no such binary, so this one was never run."
        )
    lines += [
        f"- Context {facts.context}; a prompt fills windows of {facts.prefill} tokens, and what is "
        "left of a window is lost to the answer: prompts of at most "
        f"{facts.longest_prompt} tokens.",
        f"- onnxruntime-genai has to be {GENAI_VERSION}: 0.17.1 and 0.18.0 ignore "
        "`slide_key_value_cache` of a pipeline.",
        f"- An application of its own reads `{SEPARATE}/{_CONFIG}`. Set `max_length` to the "
        f"context, {facts.context}: onnxruntime-genai {GENAI_VERSION} needs that with windows that "
        "are padded.",
    ]
    for name, record in (("prefill", found.prefill), ("decode", found.decode)):
        if record is not None:
            lines.append(
                f"- {name}: {record.us:,.0f} us, accelerator time estimated for "
                f"{record.estimated_on}; on a board the call and the library come on top."
            )
    return "\n".join(lines) + "\n"
