"""snapq_model.h: C11 and C++17 without a warning, and snapq_io's values to the last bit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from snapq.bundle.application.header import header
from snapq.bundle.application.identifiers import identifiers
from snapq.bundle.schema import Manifest
from tests.bundle.application.driver import build, write_inputs
from tests.bundle.application.packages import CLASSIFIER, KINDS
from tests.bundle.application.toolchain import STRICT

C11 = ("gcc", "-std=c11", "-O1")
CPP17 = ("g++", "-std=c++17", "-O1")

pytestmark = pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("g++")), reason="there is no C and C++ compiler"
)


@pytest.mark.parametrize("kind", KINDS)
def test_the_header_gives_the_helpers_values_to_the_last_bit(kind: str, tmp_path: Path) -> None:
    driver = build(KINDS[kind], tmp_path, C11)
    expected = write_inputs(KINDS[kind], tmp_path, np.random.default_rng(len(kind)))
    assert len(expected) >= 2
    assert subprocess.run([driver], cwd=tmp_path, check=False).returncode == 0
    for name, value in expected.items():
        assert (tmp_path / name).read_bytes() == value, name


@pytest.mark.parametrize("kind", KINDS)
def test_the_header_is_cpp_too(kind: str, tmp_path: Path) -> None:
    (tmp_path / "snapq_model.h").write_text(header(KINDS[kind]))
    (tmp_path / "user.cpp").write_text('#include "snapq_model.h"\n')
    command = [
        "g++",
        "-std=c++17",
        *STRICT,
        "-fsyntax-only",
        "-Wno-unused",
        str(tmp_path / "user.cpp"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_contracted_arithmetic_changes_no_bit(tmp_path: Path) -> None:
    """gcc fuses a product and a sum unless it is told not to, where the processor can."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if " fma " not in flags:
        pytest.skip("the processor has no fused multiply-add")
    driver = build(CLASSIFIER, tmp_path, ("gcc", "-std=gnu11", "-O3", "-mfma", "-mavx2"))
    expected = write_inputs(CLASSIFIER, tmp_path, np.random.default_rng(0))
    assert subprocess.run([driver], cwd=tmp_path, check=False).returncode == 0
    for name, value in expected.items():
        assert (tmp_path / name).read_bytes() == value, name


def test_what_is_too_small_for_its_crop_is_told(tmp_path: Path) -> None:
    (tmp_path / "snapq_model.h").write_text(header(CLASSIFIER, ["a", "b"]))
    (tmp_path / "user.c").write_text(
        '#include "snapq_model.h"\n'
        "int main(void) {\n"
        "    uint8_t frame[SNAPQ_IN_IMAGE_FRAME_COUNT], one[3] = {1, 2, 3};\n"
        "    struct snapq_image image = snapq_image_image;\n"
        "    image.shorter_side = 0;\n"
        "    int bad = snapq_preprocess(&image, one, 1, 1, 3, SNAPQ_RGB, frame);\n"
        "    int none = snapq_preprocess_image(one, 0, 1, 3, SNAPQ_RGB, frame);\n"
        "    return !(bad == SNAPQ_BAD_PICTURE && none == SNAPQ_BAD_PICTURE &&\n"
        "             snapq_label(1)[0] == 'b' && snapq_label(2)[0] == 0);\n}\n"
    )
    command = [*C11, *STRICT, str(tmp_path / "user.c"), "-o", str(tmp_path / "user"), "-lm"]
    subprocess.run(command, check=True)
    assert subprocess.run([tmp_path / "user"], check=False).returncode == 0


@pytest.mark.parametrize(
    "name", ["*/ int main", "a\\", "??/", "\\u0041", "größe", "1:0", "", 'x"y', "%s", "a__b"]
)
def test_no_name_of_a_tensor_breaks_the_header(name: str, tmp_path: Path) -> None:
    value = CLASSIFIER.model_dump(mode="json")
    value["inputs"][0]["name"] = value["outputs"][0]["name"] = name
    (tmp_path / "snapq_model.h").write_text(header(Manifest.model_validate(value), [name]))
    (tmp_path / "user.c").write_text('#include "snapq_model.h"\nint main(void) { return 0; }\n')
    command = [*C11, *STRICT, "-fsyntax-only", str(tmp_path / "user.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_names_that_differ_in_case_or_signs_alone_have_identifiers_of_their_own() -> None:
    assert identifiers(["a:0", "a_0", "A/0", "", "é"]) == [
        "a_0",
        "a_0_2",
        "A_0_3",
        "tensor3",
        "tensor4",
    ]
