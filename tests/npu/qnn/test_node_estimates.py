"""The estimate by nodes is the estimate, divided."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapq.devices.profiles import DeviceProfile
from snapq.npu.qnn.estimate import estimate
from snapq.npu.qnn.node_estimates import OTHER, Work, estimate_nodes, share


def test_parts_add_up_to_the_estimate_and_belong_to_nodes_of_the_model(
    w8a8_cnn: Path, qcs9075: DeviceProfile
) -> None:
    found = estimate_nodes(w8a8_cnn, qcs9075)
    whole = estimate(w8a8_cnn, qcs9075)
    assert found.total.cycles == whole.cycles
    assert sum(found.cycles.values()) == pytest.approx(whole.cycles)
    assert found.cycles["second"] > found.cycles["classify"] > 0
    assert {"second", "classify", "pool"} < set(found.cycles)
    assert found.cycles[OTHER] < whole.cycles / 2
    assert estimate_nodes(w8a8_cnn, qcs9075).cycles == found.cycles


works = st.builds(
    Work, st.integers(0, 50), st.integers(0, 20), st.integers(1, 4), st.integers(0, 2)
)


@given(st.lists(works, max_size=12))
def test_the_parts_of_a_timeline_add_up_to_the_time_in_which_something_happens(
    timeline: list[Work],
) -> None:
    busy = {time for work in timeline for time in range(work.start, work.start + work.duration)}
    assert sum(share(timeline).values()) == pytest.approx(len(busy))


def test_who_computes_goes_before_who_moves_data() -> None:
    timeline = [Work(0, 10, 1, rank=0), Work(0, 30, 2, rank=1), Work(5, 5, 3, rank=0)]
    assert share(timeline) == {1: 7.5, 3: 2.5, 2: 20}
