"""What is wrong with a configuration, gathered, so that all of it is reported at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from snapq.errors import ConfigError

KeyPath = tuple[str | int, ...]

MAX_TOLD = 20
_MAX_SHOWN = 500


@dataclass(frozen=True)
class Spot:
    """Where a value stands: a line of a file, or a command-line option (then without a line)."""

    source: str
    line: int | None = None

    def at(self, line: int) -> Spot:
        """The same source at another line; an option has none."""
        return self if self.line is None else Spot(self.source, line)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    spot: Spot
    path: KeyPath
    what: str
    hint: str | None = None

    def error(self) -> ConfigError:
        """The problem as an error, such as `deploy.yaml:12: stages.1.quantize.weights: …`."""
        where = self.spot.source
        if self.spot.line is not None:
            where += f":{self.spot.line}"
            where += f": {_short(dotted(self.path))}" if self.path else ""
        return ConfigError(_short(self.what), where=where or None, hint=self.hint)


@dataclass
class Problems:
    """The problems found so far."""

    found: list[Problem] = field(default_factory=list)
    _known: set[tuple[Spot, str]] = field(default_factory=set)

    def add(self, spot: Spot, path: KeyPath, what: str, hint: str | None = None) -> None:
        """Notes a problem; the same one on the same line (by way of an alias) only once."""
        if (spot, what) not in self._known:
            self._known.add((spot, what))
            self.found.append(Problem(spot, path, what, hint))

    def stop(self, problem: Problem) -> ConfigError:
        """The error to raise for a problem after which reading cannot continue."""
        return _together([problem, *self.found])

    def check(self) -> None:
        """Raises all that was found, in the order of the file. Raises `ConfigError`."""
        if self.found:
            raise _together(sorted(self.found, key=lambda problem: problem.spot.line or 0))


def _together(problems: list[Problem]) -> ConfigError:
    first, *others = (problem.error() for problem in problems[:MAX_TOLD])
    if len(problems) > MAX_TOLD:
        others.append(ConfigError(f"And {len(problems) - MAX_TOLD} more."))
    return ConfigError(first.what, where=first.where, hint=first.hint, also=others)


def _short(text: str) -> str:
    """A text of the file's, or the beginning of it: a key can have a million letters."""
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def dotted(path: KeyPath) -> str:
    """The way to a key as it is typed: `model.inputs."input.1"`."""
    parts = (f'"{p}"' if isinstance(p, str) and (not p or "." in p) else str(p) for p in path)
    return ".".join(parts)
