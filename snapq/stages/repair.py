"""The repair stage: a model that another tool quantized, in the form that the NPU takes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from snapq.config import RepairConfig
from snapq.errors import ConfigError
from snapq.graph import io
from snapq.precision import ActivationType
from snapq.quantization.existing_qdq.idle_clips import drop_idle_clips
from snapq.quantization.existing_qdq.requantize import Requantized, requantize
from snapq.quantization.existing_qdq.strip import is_quantized, strip
from snapq.quantization.lint.run import lint
from snapq.stages.bare_tensors import with_enough_bits
from snapq.stages.base import Context, Input, Outcome, Reads
from snapq.stages.imposing import carried, conditions, feeds, fixed_inputs
from snapq.stages.quantize.stage import write


def reads(options: RepairConfig) -> Reads:
    """The model as given with its encodings, and the prepared one that takes them over."""
    return Reads((Input.GIVEN, Input.PREVIOUS, Input.DEVICES), (Input.BOUNDARY, Input.CALIBRATION))


def run(options: RepairConfig, context: Context, folder: Path) -> Outcome:
    """Writes the repaired Q/DQ model and its encodings into `folder`.

    Raises:
        ConfigError: the model as given is not quantized.
        DataError: a tensor has no encoding, and there are no calibration samples.
        ModelError: the model holds integers whose float form is not known.
    """
    given = io.load(context.given.model) if context.given else None
    if given is None or not is_quantized(given):
        raise ConfigError(
            "The model is not quantized, so there is nothing to repair.",
            where="stages",
            hint="Name `quantize` instead.",
        )
    architecture = min(device.architecture for device in context.devices)
    findings = lint(given, architecture)
    stripped = strip(given)
    prepared = io.load(context.previous.model)
    transferred, lost = carried(stripped.model, prepared, stripped.encodings, context)
    transferred = drop_idle_clips(prepared, transferred, feeds(context))

    def quantized(bare: ActivationType) -> Requantized:
        return requantize(
            prepared,
            transferred,
            conditions(context, bare),
            feeds(context),
            inputs=fixed_inputs(context.boundary),
        )

    found = with_enough_bits(quantized, given, prepared, context)
    left = lint(found.quantized.model, architecture)
    write(found.quantized, folder)
    counts = Counter(finding.rule for finding in findings)
    notes = [f"Repaired {count} x {rule}." for rule, count in sorted(counts.items())]
    if lost:
        notes.append(f"{lost} encodings belong to tensors that preparing fused or folded away.")
    return Outcome(
        precision=found.precision,
        notes=(*notes, *map(str, found.quantized.notes)),
        details={
            "encodings_given": len(stripped.encodings),
            "encodings_kept": found.imposed,
            "encodings": len(found.quantized.encodings),
            "findings": dict(sorted(counts.items())),
            "findings_left": [f"{finding.node}: {finding.message}" for finding in left],
        },
    )
