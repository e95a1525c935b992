"""One simulation speaks for all NPUs that compute the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snapq.devices.profiles import find
from snapq.npu.arithmetic import distinct, kind
from snapq.npu.model import Model
from tests.npu.qnn import models


def test_each_kind_is_named_once_by_its_first_device() -> None:
    devices = [find(name) for name in ("sm8650", "qcs6490", "qcs9075", "sa8797p")]
    names = [[device.name for device in group] for group in distinct(devices, "w8a8")]
    assert names == [["sm8650", "qcs9075", "sa8797p"], ["qcs6490"]]
    names = [[device.name for device in group] for group in distinct(devices, "w8a16")]
    assert names == [["sm8650", "qcs9075"], ["qcs6490"], ["sa8797p"]]
    assert len(distinct(devices, "w8a8+fp16")) == 4, "of a mix nothing is known"


@pytest.mark.npu
def test_devices_of_a_kind_give_the_same_codes(w8a8_cnn: Path) -> None:
    feeds = list(models.samples(1))
    found = {
        name: next(iter(Model(w8a8_cnn, find(name)).simulate(feeds)))
        for name in ("qcs9075", "sm8650", "sa8797p")
    }
    assert len({kind(find(name).architecture, "w8a8") for name in found}) == 1
    first, *others = found.values()
    for other in others:
        assert all(np.array_equal(first[name], other[name]) for name in first)
