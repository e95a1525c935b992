"""Which sizes of VTCM a package is planned with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snapq.config import PackageConfig
from snapq.devices.profiles import find
from snapq.npu.model import Source
from snapq.npu.qnn.compile import price
from snapq.records import EstimateRecord
from snapq.stages.package.compile_device import vtcm_sizes
from tests.graph.models import build

LAYER = "(float[1,64] x, float[64,{0}] w) => (float[1,{0}] y) {{ y = MatMul(x, w) }}"


@pytest.fixture
def large() -> Source:
    return Source(build(LAYER.format(4096)))


def test_less_than_the_devices_own_is_tried_where_a_model_is_large(large: Source) -> None:
    device = find("qcs9075")
    assert vtcm_sizes(large, device, PackageConfig()) == (2, 3)
    assert vtcm_sizes(Source(build(LAYER.format(64))), device, PackageConfig()) == ()
    assert vtcm_sizes(large, device, PackageConfig(vtcm_mb=())) == ()
    assert vtcm_sizes(large, device, PackageConfig(vtcm_mb=(4, 8, 16))) == (4,)


def test_nothing_is_tried_where_no_estimate_could_tell(large: Source) -> None:
    assert vtcm_sizes(large, find("sm8650"), PackageConfig()) == ()
    unknown = replace(find("qcs9075"), vtcm_mb=None)
    assert vtcm_sizes(large, unknown, PackageConfig()) == ()


def test_an_estimate_that_lacks_operators_is_behind_a_whole_one() -> None:
    whole = EstimateRecord(
        label="",
        device="qcs9075",
        estimated_on="qcs9075",
        us=200,
        us_lower=190,
        us_upper=210,
        cycles=300_000,
        cycles_lower=280_000,
        cycles_upper=320_000,
        ddr_bytes={},
        missing_ops=0,
        options={},
    )
    lacking = whole.model_copy(update={"cycles": 100_000, "missing_ops": 2})
    assert min((lacking, whole), key=price) is whole
    assert price(None) <= price(whole)
