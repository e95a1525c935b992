"""From YAML text to plain values, strictly, with the line of each key.

The scalars are those of YAML 1.2 (`yes`, `on` and `1:30` are text, `1e-3` is a number), because the
surprises of YAML 1.1 are nobody's wish. Beyond what YAML itself refuses, this reader refuses
duplicate keys, language tags, endless aliases and numbers with a leading zero, whose value depends
on the YAML version. Anchors, aliases and merge keys (`<<`) work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from snapq.config.reading.problems import KeyPath, Problem, Problems, Spot
from snapq.errors import ConfigError

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

MAX_VALUES = 100_000
MAX_DEPTH = 50
_MAX_DIGITS = 18

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)"
    r"|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}"
    r"|(?P<wrong>))"
)
_PLAIN_TAGS = ("str", "map", "seq")
_MERGED = "snapq:merged"


class _Loader(yaml.SafeLoader):
    """Composes nodes only; scalars keep their text, and `scalar` below gives them a type."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


@dataclass
class Document:
    """Plain values, and where each of them stands."""

    value: Value
    spots: dict[KeyPath, Spot] = field(default_factory=dict)

    def spot(self, path: KeyPath) -> Spot:
        """Where `path` stands, or the nearest thing around it that stands somewhere."""
        while path and path not in self.spots:
            path = path[:-1]
        return self.spots.get(path, Spot(""))

    def move(self, moves: Mapping[KeyPath, KeyPath]) -> None:
        """Notes that what stood at each key of `moves` is at its value now, outer ones first."""
        moved: dict[KeyPath, Spot] = {}
        for known, spot in self.spots.items():
            path: KeyPath = ()
            for step in known:
                path = moves.get((*path, step), (*path, step))
            moved[path] = spot
        self.spots = moved

    def forget(self, path: KeyPath) -> None:
        """Forgets where `path` and all below it stand, because their value is replaced."""
        for known in [known for known in self.spots if known[: len(path)] == path]:
            del self.spots[known]


def read(text: str, source: Spot, problems: Problems, environment: Mapping[str, str]) -> Document:
    """Reads one YAML document.

    Args:
        text: the YAML.
        source: where the text begins: the first line of a file, or an option.
        problems: what is wrong with single values is added here; they read as None.
        environment: values of the variables that the text names.

    Raises:
        ConfigError: the text is not YAML, or not one document.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise problems.stop(_syntax_problem(error, text, source)) from None
    except yaml.reader.ReaderError as error:
        spot = source.at(text.count("\n", 0, error.position) + 1)
        what = f"The character U+{ord(text[error.position]):04X} is not allowed in YAML."
        hint = "Remove it; it may be invisible in an editor."
        raise problems.stop(Problem(spot, (), what, hint)) from None
    except RecursionError:
        raise problems.stop(_too_deep(source)) from None
    builder = _Builder(source, problems, environment)
    if node is not None:
        builder.document.spots[()] = source
        builder.document.value = builder.build(node, ())
    return builder.document


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, source: Spot) -> Problem:
    mark = error.problem_mark or error.context_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    reason = " ".join(part for part in (error.context, error.problem) if part)
    spot = source.at(mark.line + 1) if mark else source
    if "single document" in reason:
        return Problem(spot, (), "There are several YAML documents.", "Remove the `---` line.")
    if "'\\t'" in reason:
        return Problem(spot, (), "There is a tab, and YAML knows only spaces.", "Use spaces.")
    if "${" in line:
        hint = "Put quotes around a value with ${…} that stands inside { } or [ ]."
    else:
        hint = "Check brackets, quotes, colons and indentation on this line and the one above."
    return Problem(spot, (), f"This is not YAML: {reason}.", hint)


def _too_deep(spot: Spot, path: KeyPath = ()) -> Problem:
    return Problem(spot, path, "Values are nested too deeply.", "deploy.yaml has 6 levels at most.")


class _Builder:
    """Turns composed nodes into values; one instance a document."""

    def __init__(self, source: Spot, problems: Problems, environment: Mapping[str, str]) -> None:
        self.document = Document(None)
        self.source = source
        self.problems = problems
        self.environment = environment
        self.count = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Value:
        """The value of `node`, which stands at `path`."""
        spot = self.source.at(node.start_mark.line + 1)
        self.document.spots.setdefault(path, spot)
        self._tally(spot, path)
        if len(path) > MAX_DEPTH:
            raise self.problems.stop(_too_deep(spot, path[:1]))
        tag = node.tag.removeprefix("tag:yaml.org,2002:")
        if tag not in _PLAIN_TAGS:
            name = f"!!{tag}" if tag != node.tag else tag
            self.problems.add(spot, path, f"The tag `{name}` has no meaning here.", "Remove it.")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path, spot)
        raise AssertionError(f"YAML has no other kind of node than these: {node}")

    def _tally(self, spot: Spot, path: KeyPath) -> None:
        """Counts a value; aliases of aliases can be endlessly many in a few lines."""
        self.count += 1
        if self.count > MAX_VALUES:
            raise self.problems.stop(
                Problem(spot, path, "There are too many values.", "Do aliases repeat endlessly?")
            )

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> Value:
        values: dict[str, Value] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in self._members(node, path, depth=0):
            spot = self.source.at(key_node.start_mark.line + 1)
            key, merged = key_node.value, key_node.tag == _MERGED
            inner = (*path, key)
            if key in lines:
                if not merged:
                    self.problems.add(
                        spot,
                        inner,
                        f"The key `{key}` is given twice (first on line {lines[key]}).",
                        "Remove one of them.",
                    )
                continue
            lines[key] = key_node.start_mark.line + 1
            self.document.spots[inner] = spot
            values[key] = self.build(value_node, inner)
        return values

    def _members(
        self, node: yaml.MappingNode, path: KeyPath, depth: int
    ) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        """Keys and values of a mapping; merged ones come last, so that own keys win."""
        own: list[tuple[yaml.ScalarNode, yaml.Node]] = []
        merged: list[tuple[yaml.ScalarNode, yaml.Node]] = []
        for key, value in node.value:
            spot = self.source.at(key.start_mark.line + 1)
            self._tally(spot, path)
            if not isinstance(key, yaml.ScalarNode):
                self.problems.add(spot, path, "A key must be a word.", "Put quotes around it.")
            elif key.value == "<<" and key.style is None:
                sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for source in sources:
                    if not isinstance(source, yaml.MappingNode) or depth > MAX_DEPTH:
                        self.problems.add(
                            spot, path, "`<<` merges mappings only.", "Write `<<: *anchor`."
                        )
                        continue
                    merged += [
                        (yaml.ScalarNode(_MERGED, k.value, k.start_mark, k.end_mark), v)
                        for k, v in self._members(source, path, depth + 1)
                    ]
            else:
                own.append((key, value))
        return own + merged

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath, spot: Spot) -> Value:
        text: str = node.value
        try:
            text = expand(text, self.environment)
        except ConfigError as error:
            self.problems.add(spot, path, error.what, error.hint)
            return None
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            self.problems.add(spot, path, "The text is not valid Unicode.", "Write it as UTF-8.")
            return None
        if node.style is not None:
            return text
        try:
            return scalar(text)
        except ValueError as error:
            self.problems.add(spot, path, str(error), "Write an ordinary number.")
            return None


def scalar(text: str) -> bool | int | float | str | None:
    """The value of an unquoted scalar by the core schema of YAML 1.2, without octal and hex.

    Raises:
        ValueError: a number that is not finite, or too large.
    """
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return text[0] in "tT"
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"`{text}` is not a finite number.")
    if _LEADING_ZERO.fullmatch(text):
        return text
    if _INT.fullmatch(text):
        if len(text) > _MAX_DIGITS:
            raise ValueError("The number is too large.")
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ValueError("The number is too large.")
        return number
    return text


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replaces `$NAME`, `${NAME}`, `${NAME:-default}` by their values, once; `$$` is a dollar.

    Raises:
        ConfigError: a variable is not set and has no default, or a dollar begins no variable.
    """

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        if match["wrong"] is not None:
            raise ConfigError(
                f"The `$` in `{text}` begins no variable.",
                hint="Write ${NAME} for an environment variable, or $$ for a dollar sign.",
            )
        name = match["bare"] or match["braced"]
        default: str | None = match["default"]
        found = environment.get(name)
        if default is not None:
            return found or default.removeprefix(":-")
        if found is None:
            raise ConfigError(
                f"The environment variable {name} is not set.",
                hint=f"Set it, or give a default: ${{{name}:-default}}.",
            )
        return found

    return _VARIABLE.sub(value, text)
