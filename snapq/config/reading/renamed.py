"""Keys that had another name in an earlier version; the former names still work."""

from __future__ import annotations

from snapq.config.reading.problems import Problems
from snapq.config.reading.reader import Document
from snapq.errors import both_names, warn_renamed

RENAMED = {"targets": "devices"}
"""Former name of a key at the top of deploy.yaml, and its name."""


def rename_keys(document: Document, problems: Problems) -> None:
    """Gives the keys of `document` their names of today, and warns of each."""
    value = document.value
    for old, new in RENAMED.items():
        if not isinstance(value, dict) or old not in value:
            continue
        if new in value:
            both = both_names(old, new)
            problems.add(document.spot((old,)), (old,), both.what, both.hint)
            del value[old]
            continue
        warn_renamed(old, new)
        value[new] = value.pop(old)
        for path in [path for path in document.spots if path[:1] == (old,)]:
            document.spots[(new, *path[1:])] = document.spots.pop(path)


def current_name(key: str) -> str:
    """The name of today of a key at the top; warns where `key` is a former one."""
    if key in RENAMED:
        warn_renamed(key, RENAMED[key])
    return RENAMED.get(key, key)
