"""Compiles the package for one device: what is tried, what is asked of it, and what is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx_ir as ir

from snapq.config import PackageConfig
from snapq.devices.profiles import DeviceProfile
from snapq.errors import DeviceError, QnnError
from snapq.graph import io
from snapq.npu.judged.search import Found
from snapq.npu.model import Candidate, Compilation, Memory, Model, Placement, Source, Variants
from snapq.quantization.qdq.decisions import KEPT_FLOAT, NOTHING

_LARGE = 1 << 20
"""Bytes of weights from which other sizes of VTCM than the device's own are tried."""


@dataclass(frozen=True)
class CompiledDevice:
    """The package for one device: how its files came to be, and sentences for the reader."""

    device: DeviceProfile
    compilation: Compilation
    notes: tuple[str, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """Options that could not be tried, though they may be another time."""
        tried = (candidate for candidate in self.compilation.tried if candidate.transient)
        return tuple(f"{self.device.name}: {candidate.failure}" for candidate in tried)

    @property
    def candidates(self) -> tuple[dict[str, Any], ...]:
        """What was tried, for the record."""
        return tuple(_candidate(candidate) for candidate in self.compilation.tried)


def check_fp16(devices: Sequence[DeviceProfile]) -> None:
    """Refuses a float model for devices without 16-bit floating point. Raises `DeviceError`."""
    for device in devices:
        if "fp16" not in device.precisions:
            raise DeviceError(
                f"{device.name} (v{device.architecture}) cannot run a float model: its NPU has no "
                "16-bit floating point.",
                where="devices",
                hint="Add a quantize stage before package, or leave this device out.",
            )


def compile_for(
    source: Source,
    device: DeviceProfile,
    folder: Path,
    config: PackageConfig,
    *,
    label: str,
    npu_share: float,
    memory: Memory,
    tries: int,
) -> CompiledDevice:
    """Compiles with each sensible set of options and keeps the fastest by estimate.

    `model_ctx.onnx` and its binary go into `folder`. The `label` is the precision, the name of the
    estimates; with an `npu_share` below 1 the CPU may run the others. Of equal forms of the model
    as many as `tries` are estimated.

    Raises:
        QnnError: the compiler failed, or too few nodes run on the NPU; each is named with the
            reason.
        DeviceError, ConfigError, InstallError, StorageError: as `npu.Model.compile`.
    """
    sizes = vtcm_sizes(source, device, config)
    variants = Variants(config.optimization_modes, sizes, config.thin_strides, tries)
    try:
        found = Model(source, device, variants=variants, memory=memory).compile(
            folder, label=label, embed=config.embed, allow_cpu=npu_share < 1
        )
    except QnnError as error:
        # Of several devices, the one that fails must be named as the user named it.
        left = _left_in_float(source.model, device)
        what = f"{left} {error.what}" if left else error.what
        hint = "`snapq inspect` says where to cut the model in front." if left else error.hint
        raise type(error)(what, where=device.name, hint=hint) from error
    _check_share(found.files.placement, npu_share, device)
    notes = tuple(f"{device.name}: {note}" for note in _notes(found, device, config))
    return CompiledDevice(device, found, notes)


def _left_in_float(model: ir.Model, device: DeviceProfile) -> str | None:
    """Names what a device without float cannot run, as it was left in float; None if nothing."""
    if "fp16" in device.precisions:
        return None
    left = [node for node in model.graph if node.metadata_props.get(KEPT_FLOAT, NOTHING) != NOTHING]
    if not left:
        return None
    first, more = left[0], f" (and {len(left) - 1} more)" if len(left) > 1 else ""
    reason = first.metadata_props[KEPT_FLOAT]
    return f"{first.op_type} {first.name}{more} is in float, which this NPU lacks: {reason}."


def vtcm_sizes(source: Source, device: DeviceProfile, config: PackageConfig) -> tuple[int, ...]:
    """Sizes of VTCM to try; of small models, whose maps fit whatever the size, none by itself."""
    own = device.vtcm_mb or 0
    if config.vtcm_mb != "auto":
        return tuple(size for size in config.vtcm_mb if size < own)
    if not device.has_estimate or io.weight_bytes(source.model) < _LARGE:
        return ()
    return tuple(size for size in (own // 4, own * 3 // 8) if 2 <= size < own)


def of_calls(made: CompiledDevice, batch: int) -> CompiledDevice:
    """The same, whose estimate says how many samples a call takes."""
    figure = made.compilation.estimate
    if figure is None or batch == 1:
        return made
    estimate = figure.model_copy(update={"batch": batch})
    return replace(made, compilation=replace(made.compilation, estimate=estimate))


def _notes(found: Compilation, device: DeviceProfile, config: PackageConfig) -> Iterator[str]:
    for size in () if config.vtcm_mb == "auto" else config.vtcm_mb:
        if device.vtcm_mb is None:
            yield f"VTCM of {size} MB is not tried, the device's own is not published."
        elif size > device.vtcm_mb:
            yield f"VTCM of {size} MB is not tried, the device has {device.vtcm_mb}."
    if found.options.vtcm_mb is not None:
        yield _less_memory(found, device)
    if found.judged is not None:
        yield from _judged(found.judged)
    if found.form.thinned:
        yield (
            f"{', '.join(found.form.thinned)} run at stride 1 and are subsampled after, which is "
            "faster by the estimate. Values may differ in the last step of rounding from those of "
            "the portable model."
        )
    if found.no_estimate is not None:
        yield f"no estimate, {found.no_estimate}"
    for candidate in found.tried:
        if candidate.failure is not None:
            mode, vtcm = candidate.options.optimization_mode, candidate.options.vtcm_mb
            memory = f" with {vtcm} MB of VTCM" if vtcm else ""
            yield f"optimization mode {mode}{memory} failed: {candidate.failure}"


def _judged(found: Found) -> Iterator[str]:
    if found.chosen:
        yield f"kept {', '.join(found.chosen)}: {found.gains()}."
    if found.left:
        yield f"tried and left, as it is no faster: {', '.join(found.left)}."
    if found.untried:
        more = len(found.trials) + len(found.untried)
        yield (
            f"not tried, for want of tries: {', '.join(found.untried)}; "
            f"`judge: {{tries: {more}}}` of the package stage does."
        )


def _less_memory(found: Compilation, device: DeviceProfile) -> str:
    """That less VTCM than the device has is the fastest, and by how much."""
    us: dict[bool, list[float]] = {True: [], False: []}
    for one in found.tried:
        if one.estimate is not None:
            us[one.options.vtcm_mb is None].append(one.estimate.precise_us or one.estimate.us)
    told = ""
    if us[True] and us[False]:
        told = f": {min(us[False]):,.1f} µs for {min(us[True]):,.1f}, estimated"
    return (
        f"planned with {found.options.vtcm_mb} of {device.vtcm_mb} MB of VTCM, which is faster by "
        f"the estimate{told}. `package: {{vtcm_mb: []}}` plans with all."
    )


def _check_share(placement: Placement, share: float, device: DeviceProfile) -> None:
    total = placement.npu + placement.cpu
    if not total or placement.npu >= share * total:
        return
    off = [node for node in placement.nodes if node.unit == "cpu"]
    named = "; ".join(f"{node.name} ({node.op_type}): {node.reason}" for node in off[:8])
    more = f"; and {len(off) - 8} more" if len(off) > 8 else ""
    raise QnnError(
        f"{placement.npu} of {total} nodes run on the NPU of {device.name}, and {share:.0%} are "
        f"asked for. On the CPU: {named}{more}",
        where="gates.npu_nodes",
        hint="Lower the gate, or replace these nodes (`snapq inspect` says how).",
    )


def _candidate(candidate: Candidate) -> dict[str, Any]:
    figure = candidate.estimate
    return {
        "optimization_mode": candidate.options.optimization_mode,
        "vtcm_mb": candidate.options.vtcm_mb,
        "cycles": figure.cycles if figure else None,
        "us": figure.us if figure else None,
        "failure": candidate.failure,
        "chosen": candidate.chosen,
    }
