"""What stages estimate has the bytes that the quantize stage gives for one sample."""

from __future__ import annotations

import pytest

from snapq.config import QuantizeConfig
from snapq.devices.profiles import find
from snapq.graph import io
from snapq.stages.base import Context, Input, Reads
from snapq.stages.estimating import at_precision
from snapq.stages.quantize.job import quantization_job
from tests.quantization.precision_rules.test_box_decoding import yolo_v5
from tests.stages.test_mixed_precision import Samples


@pytest.mark.parametrize("precision", ["w8a8", "w8a16"])
def test_a_model_is_quantized_as_the_quantize_stage_does(precision: str) -> None:
    model, options = yolo_v5(), QuantizeConfig(precision=precision, preset="fast")
    samples = Samples(model, 1)
    reads = Reads((Input.CALIBRATION, Input.DEVICES), (Input.QUANTIZE, Input.BOUNDARY))
    values = {Input.CALIBRATION: samples, Input.QUANTIZE: options}
    context = Context(reads, {**values, Input.DEVICES: (find("qcs9075"),)})
    staged = quantization_job(model, options, context).quantized(samples).model
    assert io.digest(at_precision(model, context)) == io.digest(staged)
