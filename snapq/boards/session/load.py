"""What goes to a board for one measurement: the files of a model, and its fallback chain."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from snapq.boards.session.push import PushedFile
from snapq.bundle import GOLDEN, MANIFEST, PROGRAM
from snapq.bundle.application import for_applications
from snapq.bundle.golden_rows import GoldenRows, golden_rows
from snapq.bundle.read import Bundle, golden_file
from snapq.bundle.references import named_files
from snapq.bundle.schema import BundleDevice
from snapq.bundle.write import write_arrays_to
from snapq.devices.profiles import DeviceProfile
from snapq.errors import ModelError
from snapq.storage import sha256_file

FEEDS = "snapq-feeds.npz"
_SOC_OPTIONS = frozenset({"soc_model", "vtcm_mb"})
_RUN_OPTIONS = _SOC_OPTIONS | {"backend_type", "enable_htp_fp16_precision"}
_COMPILE_OPTIONS = _RUN_OPTIONS | {
    "htp_graph_finalization_optimization_mode",
    "offload_graph_io_quantization",
}


@dataclass(frozen=True)
class Fallback:
    """One way to run a model: an entry of the fallback chain, which is tried in order."""

    name: str
    """`npu context binary`, `npu compile`, `cpu`."""
    model: str
    """Path inside the folder."""
    npu: bool
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """One model for a board.

    Attributes:
        label: unique in a measurement.
        files: everything that it needs; paths are relative to its folder.
        fallbacks: the fallback chain, best first, never empty.
        skipped: fallbacks that are not even tried, each with the reason.
        golden: paths of golden inputs and outputs, sample by sample.
        outputs: names of the outputs in each of these samples.
        is_bundle: whether it is a package, and not the model that one is compared with.
        golden_rows: rows to answer, of a classical model.
        has_host: whether head and tail stand around it, so that it takes rows.
        batch: how many samples a run takes.
    """

    label: str
    files: tuple[PushedFile, ...]
    fallbacks: tuple[Fallback, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    golden: tuple[tuple[str, str], ...] = ()
    outputs: frozenset[str] = frozenset()
    is_bundle: bool = False
    golden_rows: GoldenRows | None = None
    has_host: bool = False
    batch: int = 1

    @property
    def size(self) -> int:
        """Bytes of the model that the first fallback loads, with what stands beside it."""
        parent = PurePosixPath(self.fallbacks[0].model).parent
        return sum(f.size for f in self.files if PurePosixPath(f.path).parent == parent)


def plain_load(
    label: str,
    model: Path,
    feeds: Mapping[str, np.ndarray],
    npu_options: Mapping[str, str] | None,
    answers_of: Bundle | None = None,
) -> Load:
    """A model that is no bundle: compiled on the board for the NPU, or run on the CPU.

    Args:
        label: unique in a measurement.
        model: the ONNX file; its external data lies beside it.
        feeds: the input to time with.
        npu_options: provider options for the NPU; None: the CPU.
        answers_of: the bundle whose golden rows it must answer as ONNX Runtime does.

    Raises:
        ModelError: the model names a file outside its folder.
        StorageError: a file cannot be read.
    """
    name = "model.onnx"
    files = [_file(name, model), _feeds(feeds)]
    for other in sorted(set(named_files(model))):
        path = PurePosixPath(other)
        if path.is_absolute() or ".." in path.parts or str(path) != other or other == name:
            raise ModelError("The model names a file outside its folder.", where=str(model))
        files.append(_file(other, model.parent / other))
    if npu_options is None:
        fallback = Fallback("cpu", name, npu=False)
    else:
        fallback = Fallback("npu compile", name, npu=True, options=npu_options)
    rows = None if answers_of is None else golden_rows(answers_of, None)
    if rows is not None and answers_of is not None:
        files += [_file(path, answers_of.path / path) for path in rows.files]
    return Load(label, tuple(files), (fallback,), golden_rows=rows)


def bundle_load(
    label: str,
    bundle: Bundle,
    feeds: Mapping[str, np.ndarray],
    *,
    device: DeviceProfile | None,
    npu: bool,
    cpu: bool,
    performance: str,
) -> Load:
    """A bundle, as it is to run on one board.

    Args:
        label: unique in a measurement.
        bundle: opened, so every file is what the manifest says.
        feeds: the input to time with.
        device: the board's SoC; None where nobody knows it.
        npu: whether the NPU may be used.
        cpu: whether the CPU may be used.
        performance: `htp_performance_mode` of the NPU.
    """
    manifest = bundle.manifest
    entry = next((one for one in manifest.devices if device and one.device == device.name), None)
    fallbacks, skipped = [], []
    mode = {"htp_performance_mode": performance}
    if npu and entry is not None:
        options = {**_chosen(entry, _RUN_OPTIONS), **mode}
        fallbacks.append(Fallback("npu context binary", entry.model, npu=True, options=options))
    elif npu:
        names = ", ".join(one.device for one in manifest.devices) or "none"
        whose = f"a {device.name}" if device else "of a SoC that is not known"
        skipped.append(
            ("npu context binary", f"The board is {whose}, and the bundle is for {names}.")
        )
    if npu:
        known = entry or next(iter(manifest.devices), None)
        options = {**(_chosen(known, _COMPILE_OPTIONS) if known else {"backend_type": "htp"})}
        if entry is None:  # what was chosen is for another SoC
            options = {key: value for key, value in options.items() if key not in _SOC_OPTIONS}
            options |= {"soc_model": str(device.soc_id)} if device else {}
        fallbacks.append(
            Fallback("npu compile", manifest.model, npu=True, options={**options, **mode})
        )
    if cpu:
        fallbacks.append(Fallback("cpu", manifest.model, npu=False))
    expected = entry or _golden_entry(bundle, device)
    return Load(
        label,
        (*_bundle_files(bundle, entry, expected), _feeds(feeds)),
        tuple(fallbacks),
        tuple(skipped),
        tuple(_golden(bundle, expected)),
        frozenset(output.name for output in manifest.outputs),
        is_bundle=True,
        golden_rows=golden_rows(bundle, expected.answers if expected else ()),
        has_host=manifest.host is not None,
        batch=manifest.batch,
    )


def _chosen(entry: BundleDevice, names: frozenset[str]) -> dict[str, str]:
    return {"backend_type": "htp"} | {k: v for k, v in entry.options.items() if k in names}


def _golden_entry(bundle: Bundle, device: DeviceProfile | None) -> BundleDevice | None:
    """Whose golden outputs to compare with where the bundle is not for the board itself."""
    with_data = [entry for entry in bundle.manifest.devices if entry.golden]
    same = [t for t in with_data if device and t.architecture == device.architecture]
    return next(iter((*same, *with_data)), None)


def _golden(bundle: Bundle, entry: BundleDevice | None) -> Iterator[tuple[str, str]]:
    if entry is not None and entry.golden is not None:
        for number in range(bundle.manifest.golden_samples):
            yield golden_file(f"{GOLDEN}/inputs", number), golden_file(entry.golden, number)


def _bundle_files(
    bundle: Bundle, entry: BundleDevice | None, expected: BundleDevice | None
) -> Iterator[PushedFile]:
    """The files that this board needs; binaries of other SoCs stay at home."""
    others = {path for one in bundle.manifest.devices if one != entry for path in one.files}
    mine = set(entry.files) if entry else set()
    golden = {t.golden for t in bundle.manifest.devices if t.golden}
    unwanted = golden - ({expected.golden} if expected else set())
    manifest = bundle.path / MANIFEST
    around = _sent_otherwise(bundle)
    yield _file(MANIFEST, manifest)
    for file in bundle.manifest.files:
        folder = str(PurePosixPath(file.path).parent)
        extra = file.path in bundle.manifest.extra.values() or folder == "multi_soc"
        extra = extra or file.path in around or file.path.startswith(f"{PROGRAM}/")
        unused = extra or for_applications(file.path)
        if (file.path in others - mine) or folder in unwanted or unused:
            continue
        yield PushedFile(file.path, bundle.path / file.path, file.sha256, file.bytes)


def _sent_otherwise(bundle: Bundle) -> set[str | None]:
    """Of a classical model, code that comes with the agent, and models that are not asked here."""
    host = bundle.manifest.host
    if host is None:
        return set()
    return {bundle.manifest.helper, host.cpu, host.head_model, host.tail_model}


def _file(path: str, source: Path) -> PushedFile:
    return PushedFile(path, source, sha256_file(source), source.stat().st_size)


def _feeds(feeds: Mapping[str, Any]) -> PushedFile:
    return PushedFile.of(FEEDS, npz(feeds))


def npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as the bytes of an `.npz`, the same bytes for the same arrays."""
    buffer = io.BytesIO()
    write_arrays_to(buffer, arrays)
    return buffer.getvalue()
