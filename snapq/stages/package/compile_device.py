"""Compiles the package for one device: the options that are tried, and what is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapq.config import PackageConfig
from snapq.devices.profiles import DeviceProfile, nearest_with_estimate
from snapq.errors import DeviceError, QnnError, SnapqError
from snapq.graph import io, strides
from snapq.npu.qnn.compile import (
    Best,
    Candidate,
    Compiled,
    compile_best,
)
from snapq.npu.qnn.estimate import estimate
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.placement import Placement
from snapq.records import EstimateRecord

if TYPE_CHECKING:
    import onnx_ir as ir


@dataclass(frozen=True)
class CompiledTarget:
    """The package for one device.

    Attributes:
        device: what it was compiled for.
        options: the set of options that was kept.
        compiled: the files.
        tried: every set that was tried, with its estimate.
        estimate: of this device, or of the nearest that has one; None where that failed.
        notes: sentences for the reader.
        thinned: convolutions that were compiled as `graph.strides.thin_out` writes them.
    """

    device: DeviceProfile
    options: CompileOptions
    compiled: Compiled
    tried: tuple[Candidate, ...]
    estimate: EstimateRecord | None
    notes: tuple[str, ...]
    thinned: tuple[str, ...] = ()

    @property
    def candidates(self) -> tuple[dict[str, Any], ...]:
        """What was tried, for the record."""
        return tuple(_candidate(candidate) for candidate in self.tried)


def check_fp16(devices: Sequence[DeviceProfile]) -> None:
    """Refuses a float model for devices that cannot run one.

    Raises:
        DeviceError: a device has no 16-bit floating point; it is named.
    """
    for device in devices:
        if "fp16" not in device.precisions:
            raise DeviceError(
                f"{device.name} (v{device.architecture}) cannot run a float model: its NPU has no "
                "16-bit floating point.",
                where="devices",
                hint="Add a quantize stage before package, or leave this target out.",
            )


def compile_target(
    model: Path,
    device: DeviceProfile,
    folder: Path,
    config: PackageConfig,
    *,
    label: str,
    npu_share: float,
    earlier: Sequence[CompiledTarget] = (),
) -> CompiledTarget:
    """Compiles with each sensible set of options and keeps the fastest by estimate.

    Args:
        model: the model with the package's boundary.
        device: what to compile for.
        folder: where `model_ctx.onnx` and its binary go.
        config: options of the package stage.
        label: precision, the name of the estimates.
        npu_share: lowest share of nodes on the NPU; below 1 the CPU may run the others.
        earlier: what was compiled already; its estimates serve devices that have none.

    Raises:
        QnnError: the compiler failed, or too few nodes run on the NPU; each is named with the
            reason.
        DeviceError, ConfigError, InstallError, StorageError: as `compile_best`.
    """
    notes: list[str] = []
    tried = tuple(_options(device, config, notes))
    whole = io.load(model)
    thinned = _thinned(whole, device, tried, earlier) if config.thin_strides else ()
    with tempfile.TemporaryDirectory(prefix="snapq-") as scratch:
        if thinned:
            model = Path(scratch) / model.name
            io.save(strides.thin_out(whole, thinned), model)
            notes.append(
                f"{device.name}: {', '.join(thinned)} run at stride 1 and are thinned out behind, "
                "which is faster by the estimate. Values may differ in the last step of rounding "
                "from those of the portable model, which accuracy and SQNR are simulated with."
            )
        try:
            best = compile_best(
                model,
                device,
                folder,
                tried,
                embed=config.embed,
                allow_cpu=npu_share < 1,
                label=label,
            )
        except QnnError as error:
            # Of several targets, the one that fails must be named as the user named it.
            raise QnnError(error.what, where=device.name, hint=error.hint) from error
        _check_share(best.compiled.placement, npu_share, device)
        chosen = next(candidate for candidate in best.candidates if candidate.chosen)
        figure = best.compiled.estimate
        if figure is None:
            figure = _estimate_nearby(model, device, chosen.options, label, earlier, notes)
    return CompiledTarget(
        device,
        chosen.options,
        best.compiled,
        best.candidates,
        figure,
        (*notes, *_failures(best, device)),
        thinned,
    )


def _thinned(
    model: ir.Model,
    device: DeviceProfile,
    tried: Sequence[CompileOptions],
    earlier: Sequence[CompiledTarget],
) -> tuple[str, ...]:
    """The convolutions to thin out; none where no estimate can say whether that is faster."""
    names = strides.strided(model)
    if not names:
        return ()
    modes = [options for options in tried if options.vtcm_mb is None]
    try:
        near = nearest_with_estimate(device)
        known = next((target for target in earlier if target.device == near), None)
        if known is not None:
            return known.thinned
        return strides.choose(
            names, lambda thin: _cycles(strides.thin_out(model, thin), near, modes)
        )
    except SnapqError:  # what does not compile is told when the model itself is compiled
        return ()


def _cycles(model: ir.Model, device: DeviceProfile, tried: Sequence[CompileOptions]) -> int:
    """The fewest cycles that a model is estimated to take with any of these options."""
    with tempfile.TemporaryDirectory(prefix="snapq-") as scratch:
        path = Path(scratch) / "model.onnx"
        io.save(model, path)
        return min(estimate(path, device, options).cycles for options in tried)


def _options(
    device: DeviceProfile, config: PackageConfig, notes: list[str]
) -> Iterator[CompileOptions]:
    """Every set of options to try; the one that is best without an estimate first.

    16-bit floating point is switched on wherever the device has it: it changes nothing for nodes
    that are quantized, and without it a float node would not run on the NPU.
    """
    sizes: list[int | None] = [None]
    for size in config.vtcm_mb:
        if device.vtcm_mb is None:
            notes.append(
                f"{device.name}: VTCM of {size} MB is not tried, the device's own is not published."
            )
        elif size > device.vtcm_mb:
            notes.append(
                f"{device.name}: VTCM of {size} MB is not tried, the device has {device.vtcm_mb}."
            )
        elif size < device.vtcm_mb:
            sizes.append(size)
    fp16 = "fp16" in device.precisions
    for mode in sorted(set(config.optimization_modes), reverse=True):
        for vtcm in sizes:
            yield CompileOptions(optimization_mode=mode, vtcm_mb=vtcm, fp16=fp16)


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


def _estimate_nearby(
    model: Path,
    device: DeviceProfile,
    options: CompileOptions,
    label: str,
    earlier: Sequence[CompiledTarget],
    notes: list[str],
) -> EstimateRecord | None:
    """The estimate of the nearest device that has one, compiled with the same options."""
    try:
        near = nearest_with_estimate(device)
        plain = CompileOptions(optimization_mode=options.optimization_mode, fp16=options.fp16)
        found = _known(near, plain, earlier) or estimate(model, near, plain, label=label)
    except SnapqError as error:
        notes.append(f"{device.name}: no estimate, {error}")
        return None
    return found.model_copy(update={"device": device.name})


def _known(
    device: DeviceProfile, options: CompileOptions, earlier: Sequence[CompiledTarget]
) -> EstimateRecord | None:
    """An estimate that was made already."""
    for target in earlier:
        for candidate in target.tried:
            if target.device == device and candidate.options == options:
                return candidate.estimate
    return None


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


def _failures(best: Best, device: DeviceProfile) -> Iterator[str]:
    for candidate in best.candidates:
        if candidate.failure is not None:
            mode, vtcm = candidate.options.optimization_mode, candidate.options.vtcm_mb
            size = f" with {vtcm} MB of VTCM" if vtcm else ""
            yield f"{device.name}: optimization mode {mode}{size} failed: {candidate.failure}"
