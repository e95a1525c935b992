"""The processes in which Qualcomm's runtime is called."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from snapq.errors import DataError, UnansweredError
from snapq.npu.qnn import workers

ENDLESS = """
import numpy as np
from pathlib import Path
from snapq.devices.profiles import find
from snapq.npu.qnn.simulate import simulate

def feeds():
    while True:
        yield {"image": np.zeros((1, 8, 12, 12), np.float32)}

for outputs in simulate(Path(MODEL), find("sm8650"), feeds(), workers=2):
    print("running", flush=True)
"""


def _start(script: str, scratch: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """Starts a script and waits until its workers work."""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "running"
    ends = time.monotonic() + 10  # the other one may be just starting, its folder made already
    while len(found := psutil.Process(process.pid).children()) < 2 and time.monotonic() < ends:
        time.sleep(0.05)
    return process, found


def _empties(folder: Path) -> bool:
    """Whether the folder gets empty: a worker that was just starting needs a moment."""
    ends = time.monotonic() + 10
    while any(folder.iterdir()) and time.monotonic() < ends:
        time.sleep(0.05)
    return not any(folder.iterdir())


def _end(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that are still alive after a while."""
    return psutil.wait_procs(processes, timeout=10)[1]


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os\nfrom snapq.npu.qnn import workers\n"
        "print(os.getpid(), workers.call(os.getpid))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    own, other = done.stdout.split()
    assert own != other


def test_of_a_worker_that_died_the_last_output_tells_what_happened() -> None:
    chatter = "# LIBNATIVE: No alternate configuration present in libnative_tls.conf"
    with workers.Worker() as worker:
        worker.call(os.system, f"echo '{chatter}'; echo an assertion failed")
        with pytest.raises(UnansweredError) as caught:
            worker.call(os._exit, 7)
    assert caught.value.what.endswith("with code 7). Its last output: an assertion failed")


def test_telemetry_is_off_in_a_worker() -> None:
    assert workers.call(os.getenv, "ORT_DISABLE_TELEMETRY") == "1"


@pytest.mark.parametrize("name", ["json", "queue", "signal", "numpy"])
def test_a_file_of_the_user_takes_the_place_of_no_library_in_a_worker(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{name}.py").write_text("raise SystemExit('this is the wrong file')\n")
    (tmp_path / "neighbour.py").write_text("def answer():\n    return 42\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "neighbour", raising=False)
    neighbour = importlib.import_module("neighbour")
    assert workers.call(neighbour.answer) == 42
    assert tmp_path.name not in workers.call(_place_of, name)


def test_what_native_code_prints_stays_out_of_the_callers_streams(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert workers.call(os.write, 1, b"noise") == 5
    assert workers.call(os.write, 2, b"noise") == 5
    assert capfd.readouterr() == ("", "")


def test_a_native_crash_is_an_error_with_the_last_words_of_the_library() -> None:
    with workers.Worker() as worker:
        worker.call(os.write, 2, b"the stack is burning\n")
        with pytest.raises(UnansweredError, match=r"SIGSEGV.*the stack is burning"):
            worker.call(ctypes.string_at, 0)


def test_a_worker_killed_from_outside_is_an_error_that_speaks_of_memory() -> None:
    with pytest.raises(UnansweredError, match=r"SIGKILL") as caught:
        workers.call(signal.raise_signal, signal.SIGKILL)
    assert "memory" in (caught.value.hint or "")


def test_a_call_that_takes_too_long_is_stopped() -> None:
    start = time.monotonic()
    with pytest.raises(UnansweredError, match=r"gave no answer in 0\.5 s"):
        workers.call(time.sleep, 60, timeout_s=0.5)
    assert time.monotonic() - start < 20


def test_a_call_that_computes_too_long_is_stopped() -> None:
    with workers.Worker() as worker:
        worker.limit_processor_time(1)
        with pytest.raises(UnansweredError, match="more than 1 s of processor time") as raised:
            worker.call(sum, range(10**12))
    assert "SNAPQ_MODEL_CPU_SECONDS" in str(raised.value)


def test_errors_come_back_whole_and_one_failure_does_not_stop_the_others() -> None:
    def work(pool: workers.WorkerPool, where: str) -> object:
        with pool.start() as worker:
            return worker.call(_refuse, where) if where else worker.call(os.getcwd)

    first, second, third = workers.gather(work, ["sample 3", "", "sample 4"], 2)
    assert isinstance(first, DataError)
    assert isinstance(second, str)
    assert isinstance(third, DataError)
    assert (first.where, first.hint, third.where) == ("sample 3", "Mend it.", "sample 4")


def _place_of(name: str) -> str:
    return str(importlib.import_module(name).__file__)


def _refuse(where: str) -> None:
    raise DataError("It is wrong.", where=where, hint="Mend it.")


def test_a_worker_leaves_no_folder_behind(tmp_path: Path) -> None:
    with workers.Worker(tmp_path) as worker:
        assert worker.call(os.getcwd) == str(worker.scratch)
        assert list(tmp_path.iterdir()) == [worker.scratch]
    assert _empties(tmp_path)


def test_ctrl_c_ends_the_workers_at_once_and_leaves_nothing(w8a8_cnn: Path, tmp_path: Path) -> None:
    process, children = _start(ENDLESS.replace("MODEL", repr(str(w8a8_cnn))), tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    start = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - start < 10
    assert "KeyboardInterrupt" in errors
    assert children
    assert not _end(children)
    assert _empties(tmp_path)


def test_workers_end_and_clean_up_when_their_caller_is_killed(
    w8a8_cnn: Path, tmp_path: Path
) -> None:
    process, children = _start(ENDLESS.replace("MODEL", repr(str(w8a8_cnn))), tmp_path)
    process.kill()
    process.communicate()
    assert children
    assert not _end(children)
    assert _empties(tmp_path)
