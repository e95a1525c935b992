"""Programs that run the package, filled in for the model: C++, Python, C# and Kotlin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from snapq.bundle.application.facts import ApplicationFacts
from snapq.bundle.application.header import views
from snapq.bundle.application.identifiers import identifiers
from snapq.bundle.application.rows import rows_programs
from snapq.bundle.application.sample import JAVA_TYPES, Sample, onnx_type
from snapq.bundle.application.templating import render
from snapq.bundle.schema import BundleDevice, Manifest

__all__ = ["CMAKE", "SAMPLES", "samples", "without_sample"]

SAMPLES = {
    "cpp": "samples/main.cpp",
    "python": "samples/main.py",
    "csharp": "samples/Program.cs",
    "kotlin": "samples/Main.kt",
}
"""Where in the bundle each program is, by language."""

CMAKE = "samples/CMakeLists.txt"
"""What builds the C++ program."""

RUN_OPTIONS = ("backend_type", "soc_model", "enable_htp_fp16_precision")
"""Provider options that loading a compiled package needs, as `snapq_io.py` has them."""

_RESERVED = (
    "and args as assert async await auto base bool break bundle byte case catch class const "
    "continue def default del delete do double elif else enum env except extern false feeds "
    "finally fixed float for from fun global goto if import in int is lambda library lock "
    "long main memory model namespace new none nonlocal not null np npu object operator "
    "options or out outputs package params pass path picture print private public raise ref "
    "return session short sizeof static step steps struct switch sys this throw true try "
    "typeof union unsigned using val values var void volatile when while with yield"
)
_WORDS = frozenset(_RESERVED.split())
"""What no variable may be called in one of the languages, or is called in the programs."""


def samples(manifest: Manifest, facts: ApplicationFacts) -> dict[str, str]:
    """The programs by language; a language that cannot hold a type of the model is left out."""
    inputs, outputs = _tensors(manifest, facts)
    without = without_sample(manifest)
    if manifest.host is not None:
        made = rows_programs(
            manifest.host,
            inputs,
            outputs,
            {"options": _options(manifest.devices), "devices": _devices(manifest)},
        )
        return {language: text for language, text in made.items() if language not in without}
    values = {
        "batch": manifest.batch,
        "inputs": inputs,
        "outputs": outputs,
        "labels": facts.labels,
        "state": dict(facts.state),
        "files": [item.variable for item in inputs if item.number],
        "options": _options(manifest.devices),
        "devices": _devices(manifest),
        "compiled": manifest.devices[0].model if manifest.devices else "the compiled model",
        "cut": manifest.tail is not None,
        "tail": _tail(manifest, inputs, outputs),
        "steps": _steps(inputs),
        "first_values": next((item.variable for item in inputs if item.use == "values"), "()"),
        "has": {
            "picture": any(item.use == "picture" for item in inputs),
            "file": any(item.use == "values" for item in inputs),
        },
    }
    names = {SAMPLES[key]: key for key in SAMPLES if key not in without}
    return {
        language: render(path.removeprefix("samples/"), **values)
        for path, language in names.items()
    }


def without_sample(manifest: Manifest) -> Mapping[str, str]:
    """Languages for which there is no program, each with the reason."""
    tensors = (*manifest.inputs, *manifest.outputs)
    found: dict[str, str] = {}
    host = manifest.host
    if host is not None:
        reason = (
            "rows are encoded and answers decoded around the package, by `head.onnx` and "
            "`tail.onnx`, as the C++ program shows."
        )
        languages: tuple[str, ...] = ("csharp", "kotlin")
        if host.head_model is None or host.tail_model is None:
            reason = "the rows are encoded by `snapq_io.py`: ONNX has no operators for it."
            languages = ("cpp", *languages)
        return dict.fromkeys(languages, reason)
    if any("bfloat16" in (item.dtype, item.model.dtype) for item in tensors):
        found |= dict.fromkeys(("cpp", "python"), "the model has tensors of bfloat16.")
    unknown = sorted({item.dtype for item in tensors} - set(JAVA_TYPES))
    if unknown:
        found["kotlin"] = (
            f"ONNX Runtime's Java API has no tensors of {unknown[0]}; a package made with "
            "`io: {dtype: float}` has none either."
        )
    return found


def _tensors(
    manifest: Manifest, facts: ApplicationFacts
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Inputs and outputs with what the programs do with them."""
    inputs, outputs = views(manifest)
    names = identifiers([view.name for view in (*inputs, *outputs)], _WORDS)
    variables = [name if name[0].isalpha() else f"tensor_{name}" for name in names]
    given, number = [], 0
    for view, variable in zip(inputs, variables, strict=False):
        use = "values" if view.frame is None else "picture"
        use = "state" if view.name in facts.state.values() else use
        number += use != "state"
        given.append(Sample(view, variable, use, number if use != "state" else 0))
    known = {item.name: item for item in given}
    found = []
    for index, (view, variable) in enumerate(zip(outputs, variables[len(inputs) :], strict=True)):
        taker = known.get(facts.state.get(view.name, ""))
        to = (None, None) if taker is None else (taker.id, taker.variable)
        found.append(Sample(view, variable, "", index + 1, *to))
    return tuple(given), tuple(found)


def _tail(
    manifest: Manifest, inputs: Sequence[Sample], outputs: Sequence[Sample]
) -> dict[str, object] | None:
    """What the C++ program needs to run the tail; None where it cannot feed it."""
    if manifest.tail is None or manifest.batch > 1:
        return None
    known = {("output", item.name): item for item in outputs}
    known |= {("input", item.name): item for item in inputs if item.use == "values"}
    taken = []
    for one in manifest.tail.inputs:
        item = known.get((one.source, one.name))
        if item is None or one.dtype != item.numpy_type or not item.view.count:
            return None
        held = f"out_{item.id}.get()"
        if one.source == "input":
            held = f"const_cast<char *>(file_{item.id}.data())"
        taken.append(
            {
                "name": one.name,
                "data": held,
                "bytes": f"{item.view.macro}_COUNT * sizeof({item.view.model_ctype})",
                "shape": item.view.model_shape,
                "onnx_type": onnx_type(one.dtype),
            }
        )
    given = {item.name for item in outputs}
    results = [name for name in manifest.tail.outputs if name not in given]
    return {"model": manifest.tail.model, "inputs": taken, "outputs": results} if results else None


def _steps(inputs: Sequence[Sample]) -> str:
    """How many steps the first file holds, in C++."""
    for item in inputs:
        if item.use == "values":
            size = f"({item.view.macro}_COUNT * sizeof({item.file_ctype}))"
            return f"file_{item.id}.size() / {size}"
    return "1"


def _devices(manifest: Manifest) -> list[tuple[str, list[tuple[str, str]]]]:
    """Provider options of each device."""
    return [(entry.device, _options([entry])) for entry in manifest.devices]


def _options(devices: Sequence[BundleDevice]) -> list[tuple[str, str]]:
    """Provider options of the first device, those that loading needs."""
    known = devices[0].options if devices else {"backend_type": "htp"}
    return [(key, known[key]) for key in RUN_OPTIONS if key in known]
