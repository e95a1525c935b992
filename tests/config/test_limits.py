"""However large or odd a deploy.yaml is, reading it takes seconds and ends in sentences."""

from __future__ import annotations

import time

import pytest

from snapq.errors import ConfigError
from tests.config.conftest import Load

HEAD = "name: a\nmodel: {path: m.onnx}\ndevices: [qcs9075]\n"
STAGES = "stages: [{quantize: {}}]\n"
LARGE = {
    "unknown keys": HEAD + STAGES + "".join(f"k{n}: 1\n" for n in range(16_000)),
    "misspelt keys": HEAD + STAGES + "".join(f"devices{n}: 1\n" for n in range(8_000)),
    "stages": HEAD + "stages:\n" + "- prepare: {}\n" * 12_000,
    "former names": HEAD + "stages:\n" + "- quantize: {keep_wide: false}\n" * 8_000,
    "entries with two mistakes": HEAD
    + "stages: [{quantize: {overrides: ["
    + "{a: 1, b: 2}, " * 6_000
    + "]}}]\n",
    "one key of 900,000 letters": f"{HEAD}? {'a' * 900_000}\n",
    "depth": "a: " + "[" * 9_000,
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE.keys())
@pytest.mark.filterwarnings("ignore::snapq.errors.RenamedWarning")
def test_time_grows_with_the_size_and_not_with_its_square(load_text: Load, text: str) -> None:
    started = time.process_time()
    with pytest.raises(ConfigError) as raised:
        load_text(text)
    assert time.process_time() - started < 6, "with the square it is a minute or more"
    assert len(str(raised.value)) < 30_000


@pytest.mark.parametrize("text", ['"²"', '"①"', f'"{"9" * 5000}"', '"٣"', '"1_0"', "1e400", "²"])
def test_digits_that_are_no_number_are_refused(load_text: Load, text: str) -> None:
    stages = f"stages: [{{package: {{golden_samples: {text}}}}}]\n"
    with pytest.raises(ConfigError, match="golden_samples"):
        load_text(HEAD + stages)
    with pytest.raises(ConfigError):
        load_text(HEAD + "stages: [{package: {}}]\n", [f"stages.package.golden_samples={text}"])


def test_a_resize_beyond_all_pictures_is_blamed_on_its_key(load_text: Load) -> None:
    data = "data: {calibration: {images: p, preprocess: {resize: 1000000}}}\n"
    with pytest.raises(ConfigError, match=r"data\.calibration\.preprocess\.resize.*1000000"):
        load_text(HEAD + data + STAGES)
