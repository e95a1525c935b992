"""What a choice of each dimension makes of deploy.yaml."""

from __future__ import annotations

from snapq.searching.resolution import Picture
from snapq.searching.sampling import at_random, choices, parameters
from snapq.searching.space import Dimension, Space, overrides
from snapq.searching.starting import started

BASE = {
    "model": {"path": "/m.onnx"},
    "data": {"calibration": {"images": "/c"}},
    "stages": [{"prune": {}}, {"quantize": {"preset": "balanced"}}, {"package": {}}],
}
SPACE = Space(
    (
        Dimension("blocks", (0, 1, 2)),
        Dimension("stages.prune.ratio", (None, 0.2, 0.4)),
        Dimension("stages.quantize.preset", ("fast", "balanced")),
        Dimension("layers w8a16", (0, 1, 2, 3)),
        Dimension("layers fp16", (0, 1, 2, 3)),
        Dimension("layers w4a8", (0, 1, 2, 3)),
        Dimension("resolution", (160, 224)),
        Dimension("stages.prune.most", low=0.1, high=0.9),
        Dimension("stages.prune.step", low=8, high=32, step=8),
    ),
    groups=(("a",), ("b", "c"), ("d", "e", "f")),
    removable=("add2", "add5"),
    picture=Picture(
        "image", (1, 3, 224, 224), 2, {"calibration": {"resize": 256, "crop": 224, "mean": [1.0]}}
    ),
)
OWN = started(SPACE, BASE, 1)[0]


def test_the_first_point_is_the_file_as_it_is() -> None:
    assert OWN["stages.quantize.preset"] == "balanced"
    made = SPACE.configured(BASE, {**OWN, "stages.prune.most": None, "stages.prune.step": None})
    assert made["stages"] == BASE["stages"][1:]
    assert SPACE.precisions(OWN) == ()


def test_the_points_to_begin_with_take_one_step_along_each_dimension() -> None:
    first, *others = started(SPACE, BASE, 100)
    assert first == OWN
    for choice in others:
        assert sum(choice[key] != first[key] for key in first) == 1
    assert {**first, "layers w8a16": 3} in others
    assert {**first, "stages.quantize.preset": "fast"} in others


def test_blocks_and_channels_are_cut_in_one_stage() -> None:
    made = SPACE.configured(BASE, {**OWN, "blocks": 1, "stages.prune.ratio": 0.4})
    pruned = made["stages"][0]["prune"]
    assert (pruned["remove"], pruned["ratio"]) == (["add2"], 0.4)


def test_wider_precisions_go_to_the_sensitive_layers_and_narrower_ones_to_the_others() -> None:
    choice = {**OWN, "layers w8a16": 2, "layers fp16": 1, "layers w4a8": 2}
    assert SPACE.precisions(choice) == (
        (("a",), "fp16"),
        (("b", "c"), "w8a16"),
        (("d", "e", "f"), "w4a8"),
    )


def test_layers_that_pruning_took_away_are_not_named() -> None:
    groups = [(("a", "gone"), "w8a16"), (("b",), "fp16"), (("also gone",), "w4a8")]
    assert overrides(groups, frozenset({"a", "b"})) == [
        {"nodes": ["a"], "weights": "int8", "activations": "uint16"},
        {"nodes": ["b"], "keep": "float"},
    ]


def test_a_smaller_picture_changes_the_input_and_how_pictures_are_prepared() -> None:
    made = SPACE.configured(BASE, {**OWN, "resolution": 160})
    assert made["model"]["inputs"] == {"image": [1, 3, 160, 160]}
    assert made["data"]["calibration"]["preprocess"] == {"resize": 183, "crop": 160, "mean": [1.0]}
    assert SPACE.configured(BASE, OWN)["data"] == BASE["data"]
    plain = Picture("image", (1, 3, 224, 224), 2, {"calibration": {"mean": [1.0]}})
    keys = plain.keys([160, 192])  # pictures that had the input's own size are resized
    assert keys["data.calibration.preprocess"] == {"mean": [1.0], "resize": [160, 192]}


def test_what_optuna_draws_is_the_choice_again() -> None:
    for seed in range(20):
        choice = at_random(SPACE, str(seed))
        assert choices(SPACE, parameters(SPACE, choice)) == choice
        assert choice["stages.prune.step"] in (8, 16, 24, 32)


def test_a_space_is_the_same_from_json() -> None:
    assert Space.from_json(SPACE.to_json()) == SPACE


def test_how_channels_are_ranked_makes_no_difference_where_none_is_cut() -> None:
    ways = [{**OWN, "stages.prune.importance": way} for way in ("activation", "magnitude")]
    whole = [SPACE.configured(BASE, {**one, "stages.prune.ratio": None}) for one in ways]
    cut = [SPACE.configured(BASE, {**one, "stages.prune.ratio": 0.2}) for one in ways]
    assert whole[0] == whole[1]
    assert cut[0] != cut[1]
