"""A comparison as JUnit XML, which every CI system can show."""

from __future__ import annotations

from xml.etree import ElementTree

from snapq.benchmarking.history.compare import Comparison


def junit(comparison: Comparison) -> str:
    """The comparison as a test suite: a case a check."""
    after = comparison.after
    failures = sum(not check.passed for check in comparison.checks)
    suite = ElementTree.Element(
        "testsuite",
        name=_plain(f"snapq {after.model.label} on {after.target.name}"),
        tests=str(len(comparison.checks)),
        failures=str(failures),
        timestamp=_plain(after.started_at),
    )
    for check in comparison.checks:
        case = ElementTree.SubElement(
            suite, "testcase", name=_plain(check.name), classname="snapq.compare"
        )
        if check.passed:
            ElementTree.SubElement(case, "system-out").text = _plain(check.found)
        else:
            ElementTree.SubElement(case, "failure", message=_plain(check.found))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _plain(text: str) -> str:
    """XML has no place for control characters, escaped or not."""
    return "".join(c if c.isprintable() else "?" for c in text)
