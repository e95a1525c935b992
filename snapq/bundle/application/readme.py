"""`README.md` of a bundle: how an application feeds and reads it, what it needs, what to ship."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from snapq.bundle.application.facts import ApplicationFacts
from snapq.bundle.application.header import views
from snapq.bundle.application.identifiers import markdown_cell
from snapq.bundle.application.samples import CMAKE, RUN_OPTIONS, SAMPLES, samples, without_sample
from snapq.bundle.application.shipping import systems
from snapq.bundle.application.templating import render
from snapq.bundle.application.tensors import TensorView
from snapq.bundle.schema import BundleDevice, BundleImage, BundleInput, BundleOutput, Manifest

__all__ = ["readme"]

_LANGUAGES = {
    "python": (
        "Python",
        "`samples/main.py`, with `snapq_io.py` beside the bundle's manifest; Python 3.9 or later.",
    ),
    "cpp": (
        "C++",
        "`samples/main.cpp`, with `include/snapq_model.h` (plain C11, no dependencies) and the "
        "headers and library of ONNX Runtime 1.24 or later: its release archive for the system "
        "(github.com/microsoft/onnxruntime/releases), the NuGet package Microsoft.ML.OnnxRuntime, "
        "a ZIP file for all systems, or, for x64, the npm package com.github.asus4.onnxruntime "
        "(`npm pack` fetches it). With it unpacked in `ort/`: "
        "`cmake -S samples -B build -DORT=ort && cmake --build build` makes `build/main`; without "
        "CMake, with a release archive: `g++ -std=c++17 -O2 -Iinclude -Iort/include "
        "samples/main.cpp -Lort/lib -lonnxruntime -Wl,-rpath,'$ORIGIN/ort/lib' -o main`. snapq's "
        "tests compile such programs and run them on Linux: on the CPU, and with Qualcomm's "
        "simulator in place of an NPU.",
    ),
    "csharp": (
        "C#",
        "`samples/Program.cs`. snapq's tests compile such programs against the sources of ONNX "
        "Runtime's C# API and run them, with Mono on Linux: on the CPU, and with Qualcomm's "
        "simulator in place of an NPU. They have not been tried with .NET or on Windows.",
    ),
    "kotlin": (
        "Kotlin",
        "`samples/Main.kt`. snapq has compiled it against ONNX Runtime's Java API and has not run "
        "it.",
    ),
}


@dataclass(frozen=True)
class _Row:
    """An input or output in a table."""

    view: TensorView
    words: str
    picture: str = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.view, name)


@dataclass(frozen=True)
class _Program:
    """A program in the page."""

    title: str
    text: str
    language: str
    code: str


def readme(manifest: Manifest, facts: ApplicationFacts, files: tuple[str, ...]) -> str:
    """The text of a bundle's `README.md`.

    Args:
        manifest: of the bundle.
        facts: what it does not say.
        files: paths in the bundle.
    """
    inputs, outputs = views(manifest)
    names = [f"{entry.marketing}" for entry in manifest.devices]
    binaries = [binary for entry in manifest.devices for binary in entry.binaries]
    return render(
        "README.md",
        title=f"Package for {', '.join(entry.device for entry in manifest.devices) or 'the CPU'}",
        precision=manifest.precision,
        batch=manifest.batch,
        snapq=manifest.provenance.snapq,
        random_inputs=manifest.random_inputs,
        devices_text=", ".join(names) or "a Snapdragon",
        first_device=manifest.devices[0].device if manifest.devices else "SOC",
        inputs=[
            _Row(view, _words(item), "" if item.image is None else _picture(item, item.image))
            for view, item in zip(inputs, manifest.inputs, strict=True)
        ],
        outputs=[
            _Row(view, _words(item)) for view, item in zip(outputs, manifest.outputs, strict=True)
        ],
        labels=facts.labels,
        state=list(facts.state.items()),
        tail=_tail(manifest),
        host=_host(manifest),
        binaries=binaries,
        qairt=", ".join(dict.fromkeys(entry.qairt for entry in manifest.devices)),
        qnn_version=manifest.provenance.versions.get("onnxruntime-qnn", "of that QAIRT"),
        devices=[_device(entry) for entry in manifest.devices],
        options=_options(manifest),
        systems=systems(manifest),
        programs=list(_programs(manifest, facts)),
        files=list(_files(manifest, files)),
    )


def _words(item: BundleInput | BundleOutput) -> str:
    """What the numbers mean."""
    if item.encoding is not None:
        scale, zero = item.encoding.scale, item.encoding.zero_point
        if isinstance(item, BundleInput) and item.raw:
            return "pixels 0 to 255 as they are"
        return f"value = (code - {zero}) * {scale!r}"
    same = item.dtype == item.model.dtype
    return "as the float model" if same else f"the float model's, as {item.dtype}"


def _picture(item: BundleInput, image: BundleImage) -> str:
    """How a picture becomes the input, in words."""
    parts = []
    if image.letterbox is not None:
        place = "in the middle" if image.align == "center" else "at the top left"
        parts.append(
            f"fitted into {_size(image.letterbox)} with its proportions kept ({image.resample}), "
            f"{place}, {tuple(image.fill)} around it"
        )
    if isinstance(image.resize, int):
        parts.append(f"the shorter side resized to {image.resize} ({image.resample})")
    elif image.resize is not None:
        parts.append(f"resized to {_size(image.resize)} ({image.resample})")
    if image.crop is not None:
        place = "the middle" if image.align == "center" else "the top left"
        parts.append(f"cropped to {place} {_size(image.crop)}")
    parts.append(f"channels {', '.join(_channels(image.color))}")
    means = f"mean {', '.join(map(repr, image.mean))}, std {', '.join(map(repr, image.std))}"
    if item.raw:
        parts.append(f"not normalized: the package does that itself ({means})")
    else:
        parts.append(f"then (pixel - mean) / std ({means})")
    return "; ".join(parts)


def _channels(color: str) -> tuple[str, ...]:
    return {"rgb": ("red", "green", "blue"), "bgr": ("blue", "green", "red")}.get(color, ("gray",))


def _size(size: int | tuple[int, int]) -> str:
    height, width = (size, size) if isinstance(size, int) else size
    return f"{height} x {width} (height x width)"


def _tail(manifest: Manifest) -> str:
    if manifest.tail is None:
        return ""
    names = ", ".join(f"`{markdown_cell(name)}`" for name in manifest.tail.outputs)
    return (
        f"`{manifest.tail.model}` computes {names} from what the package gives, on the CPU with "
        "plain ONNX Runtime. It takes the float model's values (`read`, `snapq_read_…`); "
        "`manifest.json` says under `tail` which. `run_tail` of `snapq_io.py` does it in Python."
    )


def _host(manifest: Manifest) -> str:
    if manifest.host is None:
        return ""
    columns = ", ".join(
        f"`{markdown_cell(item.name)}` of {item.columns} column{'s' * (item.columns != 1)} "
        f"({'text' if item.texts else item.dtype})"
        for item in manifest.host.inputs
    )
    texts = (
        "Text is a number in head and tail: its place in the list `texts` that `manifest.json` has "
        "under `host` for the input, -1 where it is not there; `snapq_io` takes the texts. "
        if any(item.texts for item in manifest.host.inputs)
        else ""
    )
    text = (
        f"This is a classical model: it takes rows, {columns}, and {manifest.host.rows} at once. "
        f"{texts}"
        "The CPU encodes rows for the package and decodes its answers. In Python one call does "
        "all:\n\n```python\nimport snapq_io\n\npackage = snapq_io.load('.')\n"
        "session = package.open_session('cpu')  # or the name of the device that this runs on\n"
        "print(package.predict(rows, session))\n```\n\n"
    )
    if manifest.host.head_model and manifest.host.tail_model:
        return text + (
            "In other languages `head.onnx` and `tail.onnx` do it, in ONNX Runtime on the CPU: "
            "rows into the head, its outputs into the package, what that gives and the rows into "
            "the tail. `include/snapq_model.h` has the types and encodings between them."
        )
    return text + "There is no form of this in other languages: ONNX has no operators for it."


def _device(entry: BundleDevice) -> dict[str, Any]:
    estimate = entry.estimate or {}
    microseconds = estimate.get("us")
    where = estimate.get("estimated_on", entry.device)
    text = "not estimated" if microseconds is None else f"{microseconds / 1000:.3g} ms"
    batch = estimate.get("batch", 1)
    if microseconds is not None and batch > 1:
        text += f" a call, {microseconds / batch / 1000:.3g} ms a sample"
    if microseconds is not None and where != entry.device:
        text += f" (on {where})"
    beside = [path for path in entry.files if path != entry.model]
    return {
        "device": entry.device,
        "marketing": entry.marketing,
        "architecture": entry.architecture,
        "model": entry.model,
        "beside": ", ".join(f"`{path.rsplit('/', 1)[-1]}`" for path in beside),
        "estimate": text,
        "fault": entry.fault,
    }


def _options(manifest: Manifest) -> str:
    if not manifest.devices:
        return ""
    first = manifest.devices[0].options
    return ", ".join(f"`{key}` = `{first[key]}`" for key in RUN_OPTIONS if key in first) + (
        f" ({manifest.devices[0].device})" if len(manifest.devices) > 1 else ""
    )


def _programs(manifest: Manifest, facts: ApplicationFacts) -> Iterator[_Program]:
    code, without = samples(manifest, facts), without_sample(manifest)
    for language, (title, text) in _LANGUAGES.items():
        if language in code:
            yield _Program(title, text, language, code[language].rstrip())
        else:
            yield _Program(title, f"There is no program: {without[language]}", language, "")


def _files(manifest: Manifest, files: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    known = {
        "manifest.json": "what is in the bundle",
        manifest.model: "the portable model with the same inputs and outputs, for the CPU",
        "labels.txt": "what the classes are called, one a line",
        "head.onnx": "encodes rows for the package, on the CPU",
        "tail.onnx": "what the CPU computes behind the package",
        "cpu.onnx": "the whole model for the CPU alone",
        "host.npz": "constants of what the CPU computes around the package",
        "encodings.json": "scale and zero point of every tensor",
        manifest.helper: "feeds and reads the package in Python, with numpy alone",
        "include/snapq_model.h": "the same in C and C++",
        "verify.py": "golden data, placement and latency on the machine that it runs on",
    }
    known |= dict.fromkeys(SAMPLES.values(), "the program above")
    known[CMAKE] = "builds `main.cpp`"
    there = {"manifest.json", *files}
    yield from ((name, text) for name, text in known.items() if name in there)
    for entry in manifest.devices:
        yield f"devices/{entry.device}/", f"compiled for {markdown_cell(entry.marketing)}"
    folders = {
        "golden/": "samples, and what Qualcomm's simulator gave for them",
        "snapq_program/": "what computes `host.npz`, in Python",
    }
    for folder, text in folders.items():
        if any(path.startswith(folder) for path in files):
            yield folder, text
