"""What snapq says when something cannot be done: what went wrong, where, and what to do about it.

Every error that a user can cause or cure is a `SnapqError`. The command line prints it as one
block and exits with its `exit_code`; nothing else of the program prints errors.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Sequence


class SnapqError(Exception):
    """An error with its cause, its place, and a hint what to do.

    Args:
        what: one sentence that says what went wrong.
        where: the file, key, node, tensor or address concerned.
        hint: one sentence that says what to do about it.
        also: further errors that were found together with this one; a file is read to its end
            before its first error is raised.
    """

    exit_code = 2
    transient = False
    """Whether the same work may succeed when it is done again: what rests on it is not kept."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        also: Sequence[SnapqError] = (),
    ) -> None:
        super().__init__(what, where, hint)
        self.what = what
        self.where = where
        self.hint = hint
        self.also = tuple(also)
        self.log: str | None = None
        """The log of the run that this error ended, where there is one."""

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        first = f"{head} {self.hint}" if self.hint else head
        return "\n".join([first, *map(str, self.also)])

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.hint, self.also))


def _rebuild(
    kind: type[SnapqError],
    what: str,
    where: str | None,
    hint: str | None,
    also: tuple[SnapqError, ...],
) -> SnapqError:
    """Makes an error again on the other side of a process boundary."""
    return kind(what, where=where, hint=hint, also=also)


class ConfigError(SnapqError):
    """deploy.yaml, a command-line option or an API argument is wrong."""


class ModelError(SnapqError):
    """The ONNX model cannot be read, is invalid, or holds something that cannot be handled."""


class DataError(SnapqError):
    """Calibration or evaluation data is missing, unreadable, of the wrong shape or not finite."""


class DeviceError(SnapqError):
    """The device is unknown, or cannot do what is asked of it."""


class ConnectionLostError(DeviceError):
    """The connection to a board broke in the middle of work; trying again may help."""

    transient = True


class ClusterError(SnapqError):
    """The cluster cannot be reached, does not fit this machine, or broke in the middle of work."""

    transient = True


class HostKeyError(DeviceError):
    """The host that answers is unknown, or another one than before."""


class QnnError(SnapqError):
    """Qualcomm's runtime refused or failed; the message has its code, the cause and a hint."""


class UnansweredError(QnnError):
    """Qualcomm's runtime gave no answer, for a reason outside of the model: killed, disk full."""

    transient = True


class InstallError(SnapqError):
    """A library that this action needs is missing, damaged or of an untested version."""


class StorageError(SnapqError):
    """A file or folder cannot be read or written (permissions, full disk, in use)."""

    transient = True


_SPELLED = {"1": "one", "2": "two", "3": "three", "4": "four", "5": "five"}


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Returns the choice most like `word`, or None where none is close.

    A number at the end may be spelled: `topone` is most like `top1`.
    """
    known: dict[str, str] = {}
    for choice in choices:
        name = choice.lower()
        known[name] = choice
        if name[-1:] in _SPELLED:
            known.setdefault(name[:-1] + _SPELLED[name[-1]], choice)
    match = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return known[match[0]] if match else None


def did_you_mean(word: str, choices: Iterable[str], otherwise: str) -> str:
    """The hint that names the choice most like `word`, or another where none is close."""
    match = nearest(word, choices)
    return f"Did you mean '{match}'?" if match else otherwise


class RenamedWarning(FutureWarning):
    """Something was named as it was in an earlier version; the old name still works."""


class LeftOutWarning(UserWarning):
    """Something is not shown, and the text says why."""


def warn_renamed(old: str, new: str) -> None:
    """Warns that `old` is the former name of `new`."""
    warnings.warn(
        f"`{old}` is called `{new}` now; the old name ends with the next version.",
        RenamedWarning,
        stacklevel=3,
    )


def both_names(old: str, new: str, where: str | None = None) -> ConfigError:
    """The error for something that is given twice: by its name and by its former name."""
    what = f"`{old}` is the former name of `{new}`, and both are given."
    return ConfigError(what, where=where, hint=f"Give `{new}` alone.")
