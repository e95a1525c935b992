"""Work in a copy of this process: what it returns, raises, and what ends it."""

from __future__ import annotations

import os
import signal
import time

import pytest

from snapq.errors import ModelError
from snapq.limits import MEMORY_VARIABLE, Limits, limits_for
from snapq.workers import forked
from snapq.workers.forked import EndedError, Ending

MB = 1 << 20
ROOMY = Limits(memory=2048 * MB, seconds=60)


def test_what_it_returns_and_raises_comes_back() -> None:
    mine = os.getpid()
    assert forked.call(lambda: (os.getpid() != mine, [1, 2]), ROOMY) == (True, [1, 2])

    def refuse() -> None:
        raise ModelError("No.", where="Conv_1", hint="Yes.")

    with pytest.raises(ModelError) as caught:
        forked.call(refuse, ROOMY)
    assert (caught.value.what, caught.value.where) == ("No.", "Conv_1")


def test_a_signal_is_told_with_what_was_noted_and_printed_last() -> None:
    def crash() -> None:
        forked.note("Conv 'first'")
        os.write(2, b"assertion failed\n")
        os.kill(os.getpid(), signal.SIGSEGV)

    with pytest.raises(EndedError) as caught:
        forked.call(crash, ROOMY)
    ended = caught.value
    assert (ended.how, ended.signal, ended.at) == (Ending.SIGNAL, "SIGSEGV", "Conv 'first'")
    assert "assertion failed" in ended.printed


def test_memory_that_the_caller_holds_does_not_count() -> None:
    held = bytearray(300 * MB)
    assert forked.call(lambda: len(held) and len(bytearray(50 * MB)), Limits(250 * MB, 60)) > 0


def test_memory_over_the_limit_is_refused() -> None:
    with pytest.raises(EndedError) as caught:
        forked.call(lambda: len(bytearray(4096 * MB)), ROOMY)
    assert caught.value.how is Ending.MEMORY


def test_time_over_the_limit_ends_the_work() -> None:
    def work() -> None:
        while True:
            pass

    started = time.process_time()
    with pytest.raises(EndedError) as caught:
        forked.call(work, Limits(2048 * MB, seconds=1))
    assert caught.value.how is Ending.TIME
    assert time.process_time() - started < 1


def test_a_crash_shortly_before_time_is_up_is_told_as_a_crash() -> None:
    def crash_late() -> None:
        while time.process_time() < 0.85:
            pass
        os.kill(os.getpid(), signal.SIGSEGV)

    with pytest.raises(EndedError) as caught:
        forked.call(crash_late, Limits(2048 * MB, seconds=1))
    assert (caught.value.how, caught.value.signal) == (Ending.SIGNAL, "SIGSEGV")


def test_nothing_that_it_prints_reaches_the_caller(capfd: pytest.CaptureFixture[str]) -> None:
    forked.call(lambda: os.write(1, b"noise"), ROOMY)
    assert capfd.readouterr().out == ""


def test_limits_grow_with_the_model_and_obey_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small, large = limits_for(), limits_for(weight_bytes=500 * MB, nodes=4000)
    assert small.memory < large.memory
    assert small.seconds < large.seconds
    monkeypatch.setenv(MEMORY_VARIABLE, "0.5")
    assert limits_for(weight_bytes=500 * MB).memory == 512 * MB
    monkeypatch.setenv(MEMORY_VARIABLE, "much")
    with pytest.raises(Exception, match=MEMORY_VARIABLE):
        limits_for()
