"""Codes and messages of the runtime, in words that help."""

from __future__ import annotations

import pytest

from snapq.npu.qnn.catalogue import entries, explain, lookup


@pytest.mark.parametrize(
    ("said", "cause", "hint"),
    [
        ("14001", "driver or skel", "/dev/fastrpc-cdsp"),
        ("QNN graph execute error. Error code: 6031", "DynamicQuantizeLinear", "statically"),
        ("Failed to create context. Error: QNN_CONTEXT_ERROR_BINARY_VERSION", "version", "again"),
        ("validation failed, err: 0xc26", "does not run this operator", "inspect"),
        (
            "Failed to load skel, error: 1002\nTransport layer setup failed: 14001",
            "NPU does not",
            "ADSP",
        ),
        ("libQnnHtpV68Stub.so: cannot open shared object file", "cannot be loaded", "doctor"),
        ("error 0x72 from remote_session_control", "unsigned", "/dev/fastrpc-cdsp"),
    ],
)
def test_a_code_or_message_gets_cause_and_mend(said: str, cause: str, hint: str) -> None:
    entry = lookup(said)
    assert entry is not None
    assert any(word in entry.cause for word in cause.split(" or "))
    assert hint in entry.hint


def test_the_first_cause_in_the_log_explains_a_vague_message() -> None:
    log = (
        "2026-11-23 08:43:20.86 [E:onnxruntime:, qnn.cc:2290 GetCapability] "
        "QNN SetupBackend failed Failed to create device. "
        "Error: QNN_DEVICE_ERROR_INVALID_CONFIG: Invalid config values\n"
    )
    error = explain("RuntimeError: it went wrong", log=log, where="model.onnx for SoC 14")
    assert "14001" in error.what
    assert "it went wrong" in error.what
    assert "SetupBackend" in error.what
    assert error.where == "model.onnx for SoC 14"


def test_what_nobody_knows_is_quoted_and_not_guessed_at() -> None:
    error = explain("[ONNXRuntimeError] : 1 : FAIL : the moon is in the wrong house")
    assert "the moon is in the wrong house" in error.what
    assert "ONNXRuntimeError" not in error.what
    assert "no entry" in (error.hint or "")


def test_a_year_or_a_shape_is_not_taken_for_a_code() -> None:
    assert lookup("model made in 1002 steps of 5000 x 6001") is None


def test_every_entry_says_cause_mend_and_source() -> None:
    assert len(entries()) > 40
    for entry in entries():
        assert entry.cause.endswith("."), entry
        assert entry.hint.endswith("."), entry
        assert entry.source, entry
