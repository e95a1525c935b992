"""The report as text: what it says, what it must never hold."""

from __future__ import annotations

import base64
import gzip
import html
import json
import math
import re
import time
from collections.abc import Callable
from importlib import resources

import pytest

from snapq.records import Origin, RunRecord
from snapq.report.html import render_html
from tests.report import report_records as records

ALL = [
    records.empty,
    records.realistic,
    records.troubled,
    records.hostile,
]
PACKED = re.compile(r'<script type="text/plain" id="([a-z]+-figure|histograms)">(.*?)</script>')


def readable(page: str) -> str:
    """Text of the page as one line, without scripts, styles and tags."""
    bare = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", bare)).split())


@pytest.mark.parametrize("make", ALL)
def test_same_record_gives_the_same_page_without_any_address(make: Callable[[], RunRecord]) -> None:
    page = render_html(make())
    assert page == render_html(make())
    addresses = set(re.findall(r"(?:https?:)?//[a-z][^\s\"'<>]*\.[a-z]+", readable_sources(page)))
    assert addresses <= {"http://www.w3.org"}, "the SVG namespace is a name, not an address"


def readable_sources(page: str) -> str:
    """Everything that a browser interprets: tags, styles and scripts (plotly stays packed)."""
    return " ".join(re.findall(r"<[a-z][^>]*>|<style>.*?</style>|<script>.*?</script>", page, re.S))


@pytest.mark.parametrize("make", ALL)
def test_packed_json_is_finite_and_cannot_end_its_script(
    make: Callable[[], RunRecord],
) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    blocks = PACKED.findall(render_html(make()))
    assert blocks or make is records.empty
    for _, block in blocks:
        text = gzip.decompress(base64.b64decode(block, validate=True))
        json.loads(text, parse_constant=refuse)


def test_values_that_are_not_finite_are_said_in_words() -> None:
    odd = (math.inf, -math.inf, math.nan)
    good = records.realistic()
    record = records.realistic(
        layers=tuple(
            layer.model_copy(update={"sqnr_db": value})
            for layer, value in zip(good.layers, odd, strict=False)
        ),
        encodings=tuple(
            item.model_copy(update={"minimum": value, "scale": (value,)})
            for item, value in zip(good.encodings, odd, strict=False)
        ),
        estimates=tuple(
            item.model_copy(update={"us": value, "us_lower": value, "us_upper": value})
            for item, value in zip(good.estimates, odd, strict=False)
        ),
    )
    text = readable(render_html(record))
    assert "∞ dB (identical)" in text
    assert "not a number" in text
    assert not re.search(r"\b(nan|inf|infinity)\b", text, re.IGNORECASE)


def test_every_key_figure_has_its_word_samples_and_baseline() -> None:
    text = readable(render_html(records.realistic()))
    for claim in (
        "Passed: 3 of 3 gates",
        "87.2 % simulated −0.6 points from float 87.8 % (host) 500 images of data/val",
        "24.6 dB simulated lowest sample 12.9 dB, cosine 0.99823; baseline: float",
        "4.44× estimated w8a8 over fp16 unmodified 3.73× over fp16 same boundary",
        "1.71× measured w8a8 over float32; 95 % interval 1.68 to 1.73",
        "64 of 64",
        "sm8650 has no estimate of its own; this is the figure of qcs9075.",
        "Every node runs on the NPU.",
        "prepare 2.3 s cached",
        "snapq run examples/efficientnet-lite0/deploy.yaml",
    ):
        assert claim in text


def test_what_is_wrong_is_said_before_any_figure() -> None:
    text = readable(render_html(records.troubled()))
    head = text[: text.index("Key figures")]
    for claim in (
        "Failed: 1 of 3 gates (max_accuracy_drop)",
        "Random inputs: accuracy, SQNR and cosine of this run say nothing",
        "2 nodes of w8a8 on qcs6490 run on the CPU, not on the NPU.",
        "qcs6490 has no estimate of its own",
        "too low: 3 operators without a cost",
    ):
        assert claim in head
    assert "Not a performance claim" in text
    assert "Loop has no counterpart on the NPU." in text
    assert "The runtime gave no reason." in text


def test_unfinished_run_and_run_without_gates_do_not_pass() -> None:
    unfinished = readable(render_html(records.realistic(finished=False)))
    assert "Not finished: the run is in progress or was interrupted" in unfinished
    assert "Passed" not in unfinished
    without = readable(render_html(records.realistic(gates=())))
    assert "Finished; no gates were set" in without
    assert "Passed" not in without


def test_report_is_small_and_quick_to_write() -> None:
    assert len(render_html(records.empty()).encode()) < 50_000, "no plots, so no plotly"
    assert len(render_html(records.realistic()).encode()) < 2_500_000
    start = time.process_time()
    page = render_html(records.large())
    assert time.process_time() - start < 10
    assert len(page.encode()) < 6_000_000


def _luminance(color: str) -> float:
    channels = [int(color[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_the_contrast_that_wcag_aa_asks_for(theme: str) -> None:
    style = resources.files("snapq.report") / "templates" / "style.css"
    blocks = re.findall(r":root \{(.*?)\}", style.read_text(encoding="utf-8"), re.DOTALL)
    block = blocks[0 if theme == "light" else 1]
    colors = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
    inks = ["text", "muted", "accent", "pass", "fail", "warn", *Origin]
    pairs = [(ink, ground) for ink in inks if ink in colors for ground in ("page", "surface")]
    for ink, ground in [*pairs, ("text", "sunken"), ("warn", "warn-back")]:
        dark, light = sorted((_luminance(colors[ink]), _luminance(colors[ground])))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)
