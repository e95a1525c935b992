"""Boxes have 16 bits where that takes at most 5 % more, and a note says so."""

from __future__ import annotations

import pytest

from snapq.config import Override, QuantizeConfig
from snapq.devices.profiles import find
from snapq.stages.base import Context, Input, Reads
from snapq.stages.quantize.box_decoding import widen_boxes
from snapq.stages.quantize.job import QuantizationJob, quantization_job
from tests.quantization.precision_rules.test_box_decoding import center_net, fcos
from tests.stages.test_mixed_precision import Samples

pytestmark = [pytest.mark.slow, pytest.mark.npu]


def widened(model, **changes) -> QuantizationJob:
    reads = Reads((Input.DEVICES, Input.CALIBRATION), (Input.BOUNDARY,))
    values = {Input.DEVICES: (find("qcs9075"),), Input.CALIBRATION: Samples(model, 4)}
    context = Context(reads, values)
    asked = QuantizeConfig(precision="w8a8", preset="fast", **changes)
    return widen_boxes(quantization_job(model, asked, context), context).job


def test_boxes_have_16_bits_where_that_takes_no_longer() -> None:
    job = widened(center_net())
    wide = {name for name, own in job.scheme.per_node.items() if own.activations.value == "uint16"}
    assert len(wide) > 5
    assert f"{len(wide)} nodes that make boxes have 16 bits" in str(job.notes[-1])


def test_boxes_stay_at_8_bits_where_16_take_longer_and_the_note_has_both_times() -> None:
    job = widened(fcos())
    assert not job.scheme.per_node
    assert "stays at 8 bits: with 16 the model would take" in str(job.notes[-1])


def test_what_overrides_say_wins() -> None:
    asked = Override(pattern="*", activations="uint8")
    job = widened(center_net(), overrides=[asked])
    assert {own.activations.value for own in job.scheme.per_node.values()} == {"uint8"}


def test_without_rules_nothing_is_widened() -> None:
    assert not widened(center_net(), precision_rules=False).scheme.per_node
