"""Whatever the file holds, the answer is a configuration or a ConfigError."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from snapq.config import DeployConfig
from snapq.config.reading import load
from snapq.errors import ConfigError
from tests.config.conftest import VALID

FUZZ = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
WORDS = r"""
    &a *a << !!set !x ${ $$ ? - : > { } [ ] ' " # %TAG --- ... ~ .nan 0o7 1e999 = @ ` | 2024-01-01
    name model stages quantize null \ud800 \0
"""
SNIPPETS = st.sampled_from(
    [*WORDS.split(), "- ", ": ", "? ", "\n", "\n  ", "\t", "\ufeff", "\x85", "\u2028"]
)
TEXT = st.lists(st.one_of(SNIPPETS, st.text(max_size=5)), max_size=12).map("".join)


def _load(path: Path, overrides: list[str]) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(load(path, overrides), DeployConfig)


@FUZZ
@given(text=TEXT, at=st.integers(0, len(VALID)), length=st.integers(0, 20))
@example(text="[" * 5000, at=0, length=0)
@example(text="? ", at=len(VALID), length=0)
@example(text="&a {<<: *a, <<: [*a, *a]}", at=6, length=18)
def test_a_damaged_file_gives_a_configuration_or_an_error(
    tmp_path: Path, text: str, at: int, length: int
) -> None:
    path = tmp_path / "deploy.yaml"
    damaged = VALID[:at] + text + VALID[at + length :]
    path.write_bytes(damaged.encode("utf-8", "surrogatepass"))
    _load(path, [])


@FUZZ
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_give_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "deploy.yaml"
    path.write_bytes(data)
    _load(path, [])


@FUZZ
@given(
    path=st.lists(
        st.sampled_from(
            ["model", "path", "stages", "0", "1", "quantize", "²", "٣", '"a.b"', "-1", ""]
        ),
        max_size=4,
    ).map(".".join),
    value=TEXT,
)
def test_arbitrary_options_give_a_configuration_or_an_error(
    tmp_path: Path, path: str, value: str
) -> None:
    file = tmp_path / "deploy.yaml"
    file.write_text(VALID)
    _load(file, [f"{path}={value}"])
