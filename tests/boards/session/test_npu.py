"""The fallback chain on the NPU, with Qualcomm's simulator in the place of the NPU itself.

The server runs in a mount namespace of its own whose /dev has the device node of an NPU, which
sends the agent through the chain: the real provider loads the real context binary. Only the times
mean nothing, and nobody looks at them.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from snapq.benchmarking.targets.base import Candidate
from snapq.benchmarking.targets.board import BoardTarget
from snapq.config import BenchmarkConfig
from tests.boards import boards, sshd

PROTOCOL = BenchmarkConfig(
    warmup=0, min_runs=2, min_duration_s=0, repeats=1, allow=("npu",), baseline="fp16"
)
DEV = """
set -e
mount -t tmpfs none "$1"
for name in null zero random urandom tty full; do
    touch "$1/$name"
    mount --bind "/dev/$name" "$1/$name"
done
mkdir "$1/pts" "$1/shm"
mount --bind /dev/pts "$1/pts"
mount --bind /dev/shm "$1/shm"
ln -s /proc/self/fd "$1/fd"
touch "$1/fastrpc-cdsp"
mount --rbind "$1" /dev
shift
exec "$@"
"""


@pytest.fixture(scope="module")
def with_npu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    """A server on a machine that seems to have an NPU."""
    folder = tmp_path_factory.mktemp("npu")
    (folder / "dev").mkdir()
    before = ["unshare", "-m", "sh", "-c", DEV, "sh", str(folder / "dev")]
    tried = subprocess.run([*before, "true"], capture_output=True, check=False)
    if tried.returncode != 0 or sshd.PROGRAM is None or platform.machine() != "x86_64":
        pytest.skip("needs root, an sshd, and the simulator of x86_64")
    with sshd.running(folder, before) as running:
        yield running


@pytest.mark.parametrize(
    ("profile", "fallback"), [("qcs9075", "npu context binary"), ("sm8650", "npu compile")]
)
def test_a_bundle_runs_on_the_npu_and_gives_what_the_simulator_gave(
    profile: str, fallback: str, with_npu: sshd.Sshd, candidates: list[Candidate]
) -> None:
    board = replace(boards.board(with_npu), profile=profile)
    measured = BoardTarget(board).measure(candidates, PROTOCOL)
    baseline, record = measured.records
    assert baseline.placement.fallback == "npu compile"
    assert record.baseline is not None
    assert record.baseline.conditions_match
    assert record.placement.fallback == fallback
    assert (record.placement.cpu, record.runtime.backend) == (0, "htp")
    assert record.runtime.options["htp_performance_mode"] == "burst"
    assert record.valid.all_on_npu
    if profile == "qcs9075":  # the bundle is for it, so nothing may differ
        assert [golden.exact for golden in record.golden] == [True] * len(record.golden)
        assert record.valid.golden_met
    else:
        assert "the bundle is for qcs9075" in record.headline
