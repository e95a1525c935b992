"""A benchmark on a board, from nothing there to figures that carry their evidence."""

from __future__ import annotations

import numpy as np
import pytest

from snapq.benchmarking.targets.base import Candidate, Measurement
from snapq.benchmarking.targets.board import BoardTarget
from snapq.benchmarking.targets.local import LocalTarget
from snapq.errors import DeviceError
from tests.boards import boards, sshd, tested_board


def test_the_first_line_says_where_it_ran_and_why(measured: Measurement) -> None:
    headline = measured.records[1].headline
    assert headline.startswith("w8a8 ran on the CPU of board. No npu context binary: ")
    assert "no device node of an NPU" in headline


def test_a_fall_to_the_cpu_turns_the_claim_into_a_remark(measured: Measurement) -> None:
    valid = measured.records[1].valid
    assert not valid.ok
    assert "not everything ran on the NPU" in valid.reasons
    assert any("not a claim" in remark for remark in measured.speedups[0].remarks)


def test_golden_outputs_differ_by_a_few_steps_on_the_cpu(measured: Measurement) -> None:
    (golden,) = measured.records[1].golden
    assert golden.samples == 2
    assert golden.largest <= 3 * (1 if golden.unit == "steps" else golden.span / 255)


def test_every_run_is_kept_and_the_figures_are_theirs(measured: Measurement) -> None:
    for record in measured.records:
        samples = np.array(record.samples)
        assert samples.size == record.latency_ms.n >= 20
        assert record.latency_ms.p50 == pytest.approx(np.median(samples))
        assert record.load_ms.create_cold > 0
        assert record.memory.peak >= (record.memory.loaded or 0) > 0
    assert measured.speedups[0].value == pytest.approx(
        measured.records[0].latency_ms.p50 / measured.records[1].latency_ms.p50
    )


@pytest.mark.usefixtures("measured")
def test_progress_begins_when_the_board_does_and_counts_loads_as_well_as_runs(
    shares: list[float],
) -> None:
    begin, *loaded = shares
    assert begin == 0
    # To load a model, twice each, takes most of the time of twenty short runs.
    assert 0 < loaded[0] < loaded[1] < 0.9
    assert shares[-1] > 0.99


def test_without_leave_for_the_cpu_the_board_is_refused_with_the_reason(
    server: sshd.Sshd, candidates: list[Candidate]
) -> None:
    strict = boards.QUICK.model_copy(update={"allow": ("npu",)})
    target = BoardTarget(boards.board(server))
    with pytest.raises(DeviceError, match="no device node of an NPU"):
        target.check(strict)
    with pytest.raises(DeviceError, match=r"does not run there.*no device node of an NPU") as e:
        target.measure(candidates, strict)
    assert "allow: [npu, cpu]" in str(e.value)


def test_nothing_runs_on_the_board_afterwards(server: sshd.Sshd, measured: Measurement) -> None:
    assert tested_board.loopback(server).agents() == []


def test_a_second_benchmark_sends_no_file_again(
    server: sshd.Sshd, candidates: list[Candidate], measured: Measurement
) -> None:
    heard = boards.Heard()
    BoardTarget(boards.board(server), heard).measure(candidates, boards.QUICK)
    assert heard.bytes == 0


def test_the_local_target_gives_the_same_kind_of_result(candidates: list[Candidate]) -> None:
    found = LocalTarget().measure(candidates, boards.QUICK)
    assert [record.model.label for record in found.records] == ["float32", "w8a8"]
    assert found.records[1].baseline is not None
    assert found.records[1].baseline.run_id == found.records[0].run_id
