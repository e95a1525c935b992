"""Estimates of models that are not yet what the run will package.

For stages that look for speed, and for the evidence of what each stage did to it.

A float model is brought to the precision of the run's quantize stage with a single sample: time on
the NPU hangs on types and shapes, not on scales.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice

import onnx_ir as ir

from snapq.devices.profiles import DeviceProfile
from snapq.graph import boundary, io
from snapq.graph.float16.run import write_for_float16
from snapq.npu.judged.rewrites import Form
from snapq.npu.model import Deferred, Memory, Model, Variants
from snapq.precision import Preset
from snapq.records import EstimateRecord
from snapq.stages.base import Context
from snapq.stages.quantize.job import quantization_job

Estimate = Callable[[ir.Model], EstimateRecord]


def estimator(
    context: Context, device: DeviceProfile, *, roughly: bool = False, tries: int = 0
) -> Estimate:
    """A function that estimates a prepared model as the run would package it for a device.

    As the package stage does, it compiles with each of the run's optimization modes and takes the
    fastest. Which strided convolutions are thinned out is found on the first model and kept for the
    others: candidates of one search differ little. Estimates are kept in the context's memo. Of
    equal forms as many as `tries` are estimated; `roughly` compiles once, with the highest of the
    modes and as the model is.

    The function raises `QnnError` where the model does not compile.
    """
    memory = Memory(context.memo)
    variants = Variants(context.optimization_modes, thin_strides=context.thin_strides, tries=tries)
    if roughly:
        variants = Variants((max(variants.modes),))
    parts = {
        "quantize": context.quantize and context.quantize.model_dump(mode="json"),
        "boundary": context.boundary and context.boundary.to_json(),
        "calibration": context.calibration and context.calibration.fingerprint(),
        "devices": [vars(one) for one in context.devices],
    }
    form: list[Form] = []

    def find(model: ir.Model) -> EstimateRecord:
        key = json.dumps([io.digest(model), parts], sort_keys=True, default=str)
        candidate = Model(
            Deferred(key, lambda: as_packaged(model, context)),
            device,
            variants=variants,
            memory=memory,
            form=form[0] if form else None,
        )
        if not form:
            form.append(candidate.form)
        return candidate.estimate("candidate")

    return find


def as_packaged(model: ir.Model, context: Context) -> ir.Model:
    """The model at the run's precision and with its boundary."""
    plan, model = context.boundary, at_precision(model, context)
    return model if plan is None else boundary.apply(model, plan).model


def at_precision(model: ir.Model, context: Context) -> ir.Model:
    """The model at the run's precision, with float inputs and outputs."""
    plan = context.boundary
    is_float = all(node.op_type != "QuantizeLinear" for node in model.graph)
    if is_float and context.quantize is not None and context.calibration is not None:
        samples = list(islice(context.calibration, 1))
        plain = context.quantize.model_copy(update={"preset": Preset.FAST, "algorithms": None})
        return quantization_job(model, plain, context).by_ranges(samples).model
    if is_float and plan is not None:
        model = boundary.fold_normalization(model, plan)
        write_for_float16(model)
    return model
