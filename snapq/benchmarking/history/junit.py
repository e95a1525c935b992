"""A comparison as JUnit XML, which every CI system can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from snapq.benchmarking.history.compare import Comparison


@dataclass(frozen=True)
class Case:
    """One case of a test suite.

    Attributes:
        name: what was looked at.
        found: what was found, and the limit.
        passed: None where nothing judges it: the case is skipped.
    """

    name: str
    found: str
    passed: bool | None


def junit(comparison: Comparison) -> str:
    """The comparison of two measurements as a test suite: a case a check."""
    after = comparison.after
    cases = [Case(check.name, check.found, check.passed) for check in comparison.checks]
    return suite(f"{after.model.label} on {after.target.name}", cases, after.started_at)


def suite(title: str, cases: Sequence[Case], timestamp: str | None = None) -> str:
    """Cases as a test suite in JUnit's XML."""
    root = ElementTree.Element(
        "testsuite",
        name=_plain(f"snapq {title}"),
        tests=str(len(cases)),
        failures=str(sum(case.passed is False for case in cases)),
        skipped=str(sum(case.passed is None for case in cases)),
    )
    if timestamp:
        root.set("timestamp", _plain(timestamp))
    for case in cases:
        element = ElementTree.SubElement(
            root, "testcase", name=_plain(case.name), classname="snapq.compare"
        )
        if case.passed is None:
            ElementTree.SubElement(element, "skipped", message=_plain(case.found))
        elif case.passed:
            ElementTree.SubElement(element, "system-out").text = _plain(case.found)
        else:
            ElementTree.SubElement(element, "failure", message=_plain(case.found))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _plain(text: str) -> str:
    """XML has no place for control characters, escaped or not."""
    return "".join(c if c.isprintable() else "?" for c in text)
