"""Keys that had another name in an earlier version; the former names still work."""

from __future__ import annotations

from snapq.config.reading.problems import KeyPath, Problems
from snapq.config.reading.reader import Document, Value
from snapq.errors import both_names, warn_renamed

RENAMED = {("", "targets"): "devices", ("quantize", "keep_wide"): "precision_rules"}
"""The key that holds the mapping (none at the top) and a former name in it, to the name."""


def rename_keys(document: Document, problems: Problems, *, holder: str = "") -> None:
    """Gives the keys of `document` their current names, and warns of each former one.

    The document is all of deploy.yaml, or the value of its key `holder`.
    """
    moves: dict[KeyPath, KeyPath] = {}
    _rename(document, document.value, (), holder, problems, moves)
    if moves:
        document.move(moves)


def _rename(
    document: Document,
    value: Value,
    path: KeyPath,
    holder: str,
    problems: Problems,
    moves: dict[KeyPath, KeyPath],
) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _rename(document, item, (*path, index), holder, problems, moves)
    if not isinstance(value, dict):
        return
    for old in list(value):
        new = RENAMED.get((holder, old))
        if new is not None and new in value:
            both = both_names(old, new)
            problems.add(document.spot((*path, old)), (*path, old), both.what, both.hint)
            del value[old]
        elif new is not None:
            warn_renamed(old, new)
            value[new] = value.pop(old)
            moves[(*path, old)] = (*path, new)
    for key, item in value.items():
        _rename(document, item, (*path, key), key, problems, moves)


def current_path(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The path of an option with the current name of each key; warns of former ones."""
    named = []
    for holder, key in zip(("", *parts), parts, strict=False):
        new = RENAMED.get((holder, key))
        if new is not None:
            warn_renamed(key, new)
        named.append(new or key)
    return tuple(named)
