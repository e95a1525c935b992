"""Files by content, in a folder that stays bounded."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from snapq.cluster.store import LIMIT_VARIABLE, File, Part, Store, digest, limit_bytes
from snapq.errors import StorageError


def _put(store: Store, content: bytes, step: int = 1000) -> File:
    file = digest(content)
    for offset in range(0, max(1, len(content)), step):
        store.put("token", Part(file, offset, content[offset : offset + step]))
    return file


def test_a_file_comes_in_parts_and_is_there_when_it_is_whole(tmp_path: Path) -> None:
    store, content = Store(tmp_path, 10**6), os.urandom(2500)
    file = digest(content)
    store.put("token", Part(file, 0, content[:2000]))
    assert store.lacks([file]) == (file,)
    store.put("token", Part(file, 2000, content[2000:]))
    assert store.lacks([file]) == ()
    assert store.read(file, 0, file.size) == content


def test_two_transfers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    store, content = Store(tmp_path, 10**6), os.urandom(2000)
    file = digest(content)
    store.put("one", Part(file, 0, content[:1000]))
    store.put("other", Part(file, 0, content))
    store.put("one", Part(file, 1000, content[1000:]))
    assert store.read(file, 0, file.size) == content


def test_a_file_that_came_damaged_is_not_kept(tmp_path: Path) -> None:
    store, file = Store(tmp_path, 10**6), digest(b"as it was")
    with pytest.raises(StorageError, match="damaged"):
        store.put("token", Part(file, 0, b"as it is."))
    assert store.lacks([file]) == (file,)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    store = Store(tmp_path, 5000)
    files = [_put(store, os.urandom(1000)) for _ in range(5)]
    for age, file in enumerate(files):
        then = time.time() - 1000 + age
        os.utime(store.path(file), (then, then))
    assert store.lacks([files[0]]) == ()  # used now
    _put(store, os.urandom(2000))
    assert store.lacks(files) == (files[1], files[2])


def test_a_file_larger_than_the_folder_may_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not fit") as caught:
        _put(Store(tmp_path, 999), bytes(1000))
    assert LIMIT_VARIABLE in str(caught.value)


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    store = Store(tmp_path, 1000)
    file = _put(store, b"")
    assert store.lacks([file]) == ()


def test_who_owns_a_machine_says_how_much_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "0.5")
    assert limit_bytes(tmp_path) == 500_000_000
