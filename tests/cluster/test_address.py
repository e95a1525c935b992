"""What `--cluster` takes."""

from __future__ import annotations

import pytest

from snapq.cluster.address import Address, parse
from snapq.errors import ConfigError
from snapq.runtime import processors


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("dask://node7:8786", Address("tcp://node7:8786", 0)),
        ("tcp://10.0.0.7:8786", Address("tcp://10.0.0.7:8786", 0)),
        ("tls://dask.example.org:8786/", Address("tls://dask.example.org:8786", 0)),
        ("dask://[::1]:8786", Address("tcp://[::1]:8786", 0)),
        ("local:4", Address(None, 4)),
        ("local", Address(None, processors())),
    ],
)
def test_schedulers_and_local_workers_are_understood(text: str, address: Address) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "local:0",
        "local:x",
        "node7",
        "dask://node7",
        "dask://node7:0",
        "http://node7:8786",
        "dask://user:secret@node7:8786",
        "dask://node7:99999",
    ],
)
def test_what_is_no_cluster_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match="local:4"):
        parse(text)
