"""Estimates of models that are not yet what the run will package: for stages that look for speed.

A float model is brought to the precision of the run's quantize stage with a single sample: time on
the NPU hangs on types and shapes, not on scales.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.devices.profiles import DeviceProfile
from snapq.precision import Preset
from snapq.records import EstimateRecord
from snapq.stages.base import Context, Memo

if TYPE_CHECKING:
    import onnx_ir as ir

Estimate = Callable[["ir.Model"], EstimateRecord]


def estimator(context: Context, device: DeviceProfile) -> Estimate:
    """A function that estimates a prepared model as the run would package it for a device.

    As the package stage does, it compiles with each of the run's optimization modes and takes the
    fastest. Which strided convolutions are thinned out is found on the first model and kept for the
    others: candidates of one search differ little.

    Args:
        context: the run's; what is estimated is kept in its memo.
        device: the device, or one that the nearest with an estimate stands for.

    The function raises `QnnError` where the model does not compile.
    """
    thinned: list[tuple[str, ...]] = []

    def find(model: ir.Model) -> EstimateRecord:
        if not thinned:
            thinned.append(_thinned(model, lambda names: measure(model, names).cycles, context))
        return measure(model, thinned[0])

    def measure(model: ir.Model, thin: tuple[str, ...]) -> EstimateRecord:
        from snapq.graph import io, strides
        from snapq.npu.qnn.estimate import estimate
        from snapq.npu.qnn.options import CompileOptions

        parts = {
            "model": io.digest(model),
            "quantize": context.quantize and context.quantize.model_dump(mode="json"),
            "boundary": context.boundary and context.boundary.to_json(),
            "device": device.soc_id,
            "thinned": thin,
        }
        found = []
        with tempfile.TemporaryDirectory(prefix="snapq-") as name:
            path = Path(name) / "model.onnx"
            for mode in context.optimization_modes:
                options = CompileOptions(mode, fp16="fp16" in device.precisions)

                def make(options: CompileOptions = options) -> EstimateRecord:
                    if not path.exists():
                        io.save(strides.thin_out(_as_packaged(model, context), thin), path)
                    return estimate(path, device, options, label="candidate")

                found.append(_remembered(context.memo, {**parts, "options": vars(options)}, make))
        return min(found, key=lambda record: record.cycles)

    return find


def _thinned(
    model: ir.Model, cycles: Callable[[tuple[str, ...]], int], context: Context
) -> tuple[str, ...]:
    """The strided convolutions that the package stage would thin out."""
    from snapq.graph import strides

    if not context.thin_strides:
        return ()
    return strides.choose(strides.strided(_as_packaged(model, context)), cycles)


def _remembered(
    memo: Memo | None, parts: Mapping[str, object], make: Callable[[], EstimateRecord]
) -> EstimateRecord:
    """What the memo has, or what is made now and kept in it."""
    key = "" if memo is None else memo.key("candidate", **parts)
    kept = None if memo is None else memo.value(key)
    if kept is not None:
        return EstimateRecord.model_validate(kept)
    record = make()
    if memo is not None:
        memo.keep_value(key, record.to_json())
    return record


def precise_us(record: EstimateRecord) -> float:
    """Microseconds with a fraction, for candidates that differ by less than one.

    The estimate gives whole microseconds and cycles; the clock follows from the largest pair.
    """
    return record.us_upper * record.cycles / record.cycles_upper if record.cycles_upper else 0.0


def _as_packaged(model: ir.Model, context: Context) -> ir.Model:
    """The model at the run's precision and with its boundary."""
    from snapq.graph import boundary
    from snapq.stages.quantize.stage import quantized

    plan = context.boundary
    is_float = all(node.op_type != "QuantizeLinear" for node in model.graph)
    if is_float and context.quantize is not None and context.calibration is not None:
        samples = list(islice(context.calibration, 1))
        plain = context.quantize.model_copy(update={"preset": Preset.FAST, "algorithms": None})
        model = quantized(model, plain, context, samples).model
    elif is_float and plan is not None:
        model = boundary.fold_normalization(model, plan)
    return model if plan is None else boundary.apply(model, plan).model
