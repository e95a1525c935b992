"""The page of a search, and the fit that says what a choice costs."""

from __future__ import annotations

import itertools

import pytest

from snapq.records import SearchDimensionRecord, SearchRecord, SearchTrialRecord
from snapq.report.search_effects import effects
from snapq.report.search_page import costs, pareto_figure, render
from snapq.report.searching import line, table
from tests.report.conftest import Open

HOSTILE = "<script>alert(1)</script>"


def us(ratio: float | None, wide: int) -> float:
    return 200.0 - 200 * (ratio or 0.0) + 10 * wide


def lost(ratio: float | None, wide: int) -> float:
    return 0.1 + 0.5 * (ratio or 0.0) - 0.05 * wide


def search(name: str = "net") -> SearchRecord:
    """Twelve points of two dimensions whose effects add up, a pruned one and one that failed."""
    trials = []
    for number, (ratio, wide) in enumerate(itertools.product((None, 0.2, 0.4, 0.5), (0, 1, 2))):
        loss = lost(ratio, wide)
        trials.append(
            SearchTrialRecord(
                number=number,
                state="complete",
                own=number == 0,
                within=True,
                best=number % 3 == 2,
                us=us(ratio, wide),
                loss=loss,
                bytes=1_000_000 - 100_000 * (number % 5),
                choices={"stages.prune.ratio": ratio, "layers w8a16": wide, name: 1},
                measures={"metric": "top1", "value": 0.9 - loss, "float": 0.9, "precision": "w8a8"},
                layers={"int8/uint16": wide} if wide else {},
                stages=(
                    {"name": "prune", "key": "k", "seconds": 1.0, "cached": False, "notes": [name]},
                ),
                seconds=3.0,
                cpu_seconds=2.0,
                host=name,
                cache="/runs/.cache",
            )
        )
    more = {"choices": dict(trials[0].choices), "sentence": f"Why: {name}."}
    trials.append(SearchTrialRecord(number=12, state="pruned", us=500.0, **more))
    trials.append(SearchTrialRecord(number=13, state="failed", **more))
    keys = ("stages.prune.ratio", "layers w8a16", name)
    return SearchRecord(
        name=name,
        study="net-1",
        storage="sqlite:////runs/search.sqlite",
        folder="/",
        device="qcs9075",
        loss="top1",
        sampler="tpe",
        seed=0,
        asked=20,
        dimensions=tuple(SearchDimensionRecord(key=key, values="-, 0.2") for key in keys),
        trials=tuple(trials),
        covered=tuple(range(14)),
        notes=(name,),
    )


def test_the_fit_finds_what_each_choice_costs() -> None:
    record = search()
    time, loss = effects(record, "us"), effects(record, "loss")
    assert time is not None
    assert loss is not None
    assert time.share > 0.99
    trial = next(one for one in record.trials if one.choices["stages.prune.ratio"] == 0.4)
    assert time.cost(trial, "stages.prune.ratio") == pytest.approx(-80, rel=0.15)
    assert loss.cost(trial, "stages.prune.ratio") == pytest.approx(0.2, rel=0.15)
    assert time.cost(record.trials[0], "stages.prune.ratio") is None  # the file's own choice
    assert next(iter(time.importance)) == "stages.prune.ratio"
    assert sum(time.importance.values()) == pytest.approx(1)
    named = costs(record.trials[1], record, {"us": time, "loss": loss})
    assert [row[:2] for row in named] == [("ratio", "-"), ("groups at w8a16:", "1"), ("net", "1")]


def test_nothing_is_fitted_to_few_trials_or_to_equal_ones() -> None:
    record = search()
    assert effects(record.model_copy(update={"trials": record.trials[:3]}), "us") is None
    same = tuple(one.model_copy(update={"us": 5.0}) for one in record.trials)
    assert effects(record.model_copy(update={"trials": same}), "us") is None


def test_a_press_on_a_point_leads_to_its_trial_and_larger_packages_are_larger_points() -> None:
    record = search()
    figure = pareto_figure(record)
    assert figure is not None
    best, others = figure["data"]
    assert best["customdata"] == sorted(best["customdata"], key=lambda n: record.trials[n].us)
    assert set(best["customdata"]) | set(others["customdata"]) == set(range(12))
    sizes = dict(zip(others["customdata"], others["marker"]["size"], strict=True))
    heavy, light = (pick(sizes, key=lambda n: record.trials[n].bytes) for pick in (max, min))
    assert sizes[heavy] > sizes[light]


def test_names_from_outside_are_no_markup_and_a_search_without_points_has_a_page() -> None:
    assert HOSTILE not in render(search(HOSTILE))
    empty = search().model_copy(update={"trials": (), "covered": ()})
    assert "No trial is simulated yet" in render(empty)


def test_the_table_has_the_frontier_and_a_line_says_why_a_trial_has_no_point() -> None:
    record = search()
    assert table(record).row_count == len(record.frontier) == 4
    assert line(record.trials[-1], record) == "Trial 13 failed: Why: net."
    assert "as the file has it" in line(record.trials[0], record)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["net", HOSTILE])
def test_the_page_works_on_a_phone_and_asks_for_nothing(open_report: Open, name: str) -> None:
    page = open_report(render(search(name)), width=390)
    for figure in ("importance", "history", "pareto"):
        page.run(f"document.querySelector('[data-figure={figure}]').scrollIntoView()")
        page.wait(f"document.querySelector('[data-figure={figure}][data-drawn] .main-svg')")
    page.run(
        "document.querySelector('[data-figure=pareto]').emit('plotly_click', "
        "{points: [{customdata: 5}]})"
    )
    assert page.run("return document.querySelector('#trial-5').open") is True
    page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.run("return document.documentElement.scrollWidth") == 390
    assert page.console() == []
    assert [url for url in page.requests() if not url.startswith("data:")] == [page.url]
