"""Qualcomm's Performance Estimate, read from the profile that the compiler writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapq.devices.profiles import DeviceProfile, find
from snapq.errors import ConfigError, QnnError
from snapq.npu.qnn.estimate import estimate, parse
from snapq.npu.qnn.options import CompileOptions

HEADER = (
    "Msg Timestamp,Message,Time,Unit of Measurement,Timing Source,Event Level,Event Identifier\n"
)


def block(cycles: int, us: int, fill: int = 0, missing: int = 0) -> str:
    rows = [
        (0, "US", "ROOT", "Performance Estimates"),
        (0, "US", "SUB-EVENT", "Mode"),
        (cycles, "CYCLES", "SUB-EVENT", "Simulated (Accelerator exec cycles)"),
        (cycles - 9, "CYCLES", "SUB-EVENT", "Simulated (Accelerator exec cycles (lower estimate))"),
        (cycles + 9, "CYCLES", "SUB-EVENT", "Simulated (Accelerator exec cycles (upper estimate))"),
        (us, "US", "SUB-EVENT", "Simulated (Accelerator exec time us)"),
        (us - 1, "US", "SUB-EVENT", "Simulated (Accelerator exec time us (lower estimate))"),
        (us + 1, "US", "SUB-EVENT", "Simulated (Accelerator exec time us (upper estimate))"),
        (fill, "BYTES", "SUB-EVENT", "Input Fill"),
        (missing, "US", "SUB-EVENT", "Missing Ops (Number of Ops with no Costs associated)"),
    ]
    return "".join(
        f"0,BACKEND,{v},{unit},BACKEND,{level},{name}\n" for v, unit, level, name in rows
    )


FINALIZE = "0,FINALIZE,449310,US,BACKEND,ROOT,QNN (finalize) time\n"
EXECUTION = (
    "0,BACKEND,685354,US,BACKEND,ROOT,Accelerator (execute) time\n"
    "0,BACKEND,141000000,CYCLES,BACKEND,SUB-EVENT,Simulated (Accelerator exec cycles)\n"
    "0,BACKEND,77,BYTES,BACKEND,SUB-EVENT,Input Fill\n"
)


def test_bounds_traffic_and_missing_operators_are_read() -> None:
    figures = parse(HEADER + FINALIZE + block(1000, 20, fill=4096, missing=3))
    assert (figures.cycles_lower, figures.cycles, figures.cycles_upper) == (991, 1000, 1009)
    assert (figures.us_lower, figures.us, figures.us_upper) == (19, 20, 21)
    assert figures.ddr_bytes == {"Input Fill": 4096}
    assert figures.missing_ops == 3


def test_the_parts_of_a_graph_add_up() -> None:
    figures = parse(HEADER + block(1000, 20, 10, 1) + FINALIZE + block(500, 7, 5, 2))
    assert (figures.cycles, figures.us, figures.ddr_bytes["Input Fill"]) == (1500, 27, 15)
    assert figures.missing_ops == 3


def test_what_a_run_on_the_simulator_reports_is_never_an_estimate() -> None:
    assert parse(HEADER + block(1000, 20) + EXECUTION).cycles == 1000
    with pytest.raises(QnnError, match="no Performance Estimate"):
        parse(HEADER + FINALIZE + EXECUTION)


@pytest.mark.parametrize("text", ["", HEADER, "garbage\n\0\n", HEADER + block(10, 2)[:200]])
def test_half_an_estimate_is_none(text: str) -> None:
    with pytest.raises(QnnError):
        parse(text)


def test_the_estimate_is_the_same_every_time_and_within_its_bounds(
    w8a8_cnn: Path, qcs9075: DeviceProfile
) -> None:
    first, second = (estimate(w8a8_cnn, qcs9075, label="w8a8") for _ in range(2))
    assert first == second
    assert 0 < first.cycles_lower < first.cycles < first.cycles_upper
    assert first.estimated_on == first.device == "qcs9075"
    assert "profiling_level" not in first.options


def test_a_device_without_an_estimate_gets_that_of_the_nearest_and_says_so(
    w8a8_cnn: Path, sm8650: DeviceProfile, qcs9075: DeviceProfile
) -> None:
    found = estimate(w8a8_cnn, sm8650)
    assert (found.device, found.estimated_on) == ("sm8650", "qcs9075")
    assert found.cycles == estimate(w8a8_cnn, qcs9075).cycles


def test_a_float_model_needs_fp16_and_is_slower_than_the_quantized_one(
    float_cnn: Path, w8a8_cnn: Path, qcs9075: DeviceProfile
) -> None:
    with pytest.raises(ConfigError, match="16-bit floating point was not asked for"):
        estimate(float_cnn, qcs9075)
    slow = estimate(float_cnn, qcs9075, CompileOptions(fp16=True))
    assert slow.cycles > estimate(w8a8_cnn, qcs9075).cycles


def test_a_device_without_fp16_gets_no_fp16_figure_from_its_neighbour(float_cnn: Path) -> None:
    with pytest.raises(Exception, match="16-bit floating point"):
        estimate(float_cnn, find("qcs6490"), CompileOptions(fp16=True))
