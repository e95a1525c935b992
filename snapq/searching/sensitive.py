"""Nodes in groups by what their quantization costs: the order in which layers get more bits."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import onnx_ir as ir

from snapq.config import QuantizeConfig
from snapq.devices.profiles import DeviceProfile
from snapq.evaluation.samples import Sample
from snapq.progress import Progress
from snapq.quantization.analysis.sensitivity import Analysis, analyze_nodes, sensitive_nodes
from snapq.quantization.quantize import Scheme, observe
from snapq.stages.quantize.job import granularity
from snapq.stages.quantize.scoring import run_on_cpu

_WATCHED, _COMPARED = 16, 4
"""Samples that ranges are measured on, and that outputs are compared on."""


def sensitive_groups(
    model: ir.Model,
    options: QuantizeConfig,
    device: DeviceProfile,
    calibration: Iterable[Sample],
    progress: Progress,
) -> tuple[tuple[str, ...], ...]:
    """The quantized nodes of a prepared model in groups of 1, 2, 4 and so on.

    Those come first that alone cost the most at the outputs: a few layers make most of the noise,
    and the first groups say so finely.
    """
    scheme = Scheme(
        weights=options.weights,
        activations=options.activations,
        granularity=granularity(options),
        architecture=device.architecture,
        float16="fp16" in device.precisions,
    )
    samples = [sample.feeds for sample in islice(calibration, _WATCHED)]
    known = observe(model, samples)
    analysis = Analysis(model, known, scheme, {}, samples[:_COMPARED], [], run_on_cpu)
    analysis = analysis.from_changes()
    nodes = sensitive_nodes(analysis)
    with progress.track("Quantize each node alone", len(nodes)) as advance:
        found = analyze_nodes(analysis, advance)
    ranked = [one.name for one in sorted(found, key=lambda one: one.sqnr_db)]
    made: list[tuple[str, ...]] = []
    size = 1
    while ranked:
        made.append(tuple(ranked[:size]))
        ranked, size = ranked[size:], size * 2
    return tuple(made)
