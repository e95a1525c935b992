"""Boxes of COCO and YOLO land where the picture's pixels do, and wrong files are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snapq.config import DataSource
from snapq.errors import DataError
from snapq.evaluation.datasets import Sample, open_dataset
from snapq.graph.shapes import TensorSpec

INPUT = (TensorSpec("images", np.dtype(np.float32), (1, 3, 40, 40)),)
LETTERBOX = {"letterbox": 40}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures of 80 x 40, black but for a white rectangle at 20..40, 10..30."""
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[10:30, 20:40] = 255
    for name in ("a.png", "deep/b.png"):
        Image.fromarray(pixels).save(folder / name)
    return folder


def _samples(pictures: Path, labels: Path, **more: Any) -> list[Sample]:
    source = DataSource(images=pictures, labels=labels, **({"preprocess": LETTERBOX} | more))
    return list(open_dataset(source, INPUT, base=pictures.parent, labelled=True))


def _coco(path: Path, **changes: Any) -> Path:
    value = {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 80, "height": 40},
            {"id": 9, "file_name": "somewhere/b.png", "width": 80, "height": 40},
            {"id": 1, "file_name": "not_here.png"},
        ],
        "annotations": [
            {"image_id": 7, "category_id": 30, "bbox": [20, 10, 20, 20], "iscrowd": 1},
            {"image_id": 7, "category_id": 5, "bbox": [0, 0, 8, 4], "area": 3},
        ],
        "categories": [{"id": 30, "name": "x"}, {"id": 5, "name": "y"}],
        "info": {},
    }
    path.write_text(json.dumps(value | changes))
    return path


def _image(name: str, **size: int) -> dict[str, Any]:
    return {"id": name, "file_name": name, **size}


def test_coco_boxes_lie_where_the_pixels_of_a_letterbox_do(pictures: Path, tmp_path: Path) -> None:
    first, second = _samples(pictures, _coco(tmp_path / "boxes.json"))
    np.testing.assert_array_equal(first.label, [[10, 15, 20, 25, 1, 1], [0, 10, 4, 12, 0, 0]])
    white = np.argwhere(first.frames["images"][0, :, :, 0] > 200)
    np.testing.assert_array_equal(white.min(0), [15, 10])
    np.testing.assert_array_equal(white.max(0), [24, 19])
    assert np.shape(second.label) == (0, 6)


def test_categories_count_by_position_or_by_their_own_numbers(
    pictures: Path, tmp_path: Path
) -> None:
    first = _samples(pictures, _coco(tmp_path / "boxes.json"), class_numbers="ids")[0]
    assert np.asarray(first.label)[:, 4].tolist() == [30, 5]


def test_a_crop_cuts_boxes_off(pictures: Path, tmp_path: Path) -> None:
    cut = {"preprocess": {"crop": 40}}  # keeps columns 20 to 60
    first = _samples(pictures, _coco(tmp_path / "boxes.json"), **cut)[0]
    np.testing.assert_array_equal(first.label, [[0, 10, 20, 30, 1, 1]])
    corner = {"preprocess": {"crop": 40, "align": "top-left"}}
    first = _samples(pictures, _coco(tmp_path / "boxes.json"), **corner)[0]
    np.testing.assert_array_equal(first.label, [[20, 10, 40, 30, 1, 1], [0, 0, 8, 4, 0, 0]])


def test_yolo_boxes_and_polygons_are_shares_of_the_picture(pictures: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    (labels / "deep").mkdir(parents=True)
    (labels / "deep" / "b.txt").write_text(
        "3 0.375 0.5 0.25 0.5\n\n2 0.25 0.25 0.5 0.25 0.5 0.75 0.25 0.5\n"
    )
    first, second = _samples(pictures, labels)
    assert np.shape(first.label) == (0, 6)
    np.testing.assert_allclose(second.label, [[10, 15, 20, 25, 3, 0], [10, 15, 20, 25, 2, 0]])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1 0.5 0.5 0.5", "has 4 numbers"),
        ("1 0.5 0.5 0.5 1.5", "not a share"),
        ("1 0.5 nan 0.5 0.5", "not a share"),
        ("1.5 0.5 0.5 0.5 0.5", "The class is 1.5"),
        ("-1 0.5 0.5 0.5 0.5", "The class is -1"),
        ("cat 0.5 0.5 0.5 0.5", "The line is `cat"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(
    pictures: Path, tmp_path: Path, line: str, words: str
) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "a.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(DataError, match=words) as caught:
        _samples(pictures, labels)
    assert str(caught.value.where).endswith("a.txt:2")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"annotations": [{"image_id": 7, "category_id": 4, "bbox": [0, 0, 1, 1]}]}, "category 4"),
        ({"annotations": [{"image_id": 7, "category_id": 5, "bbox": [0, 0, 1]}]}, "bbox"),
        ({"images": []}, "`images` has no entry for a.png"),
        ({"images": [_image("x/a.png"), _image("y/a.png")]}, "2 entries"),
        ({"categories": 5}, "categories"),
        ({"images": [_image("a.png", width=4, height=4), _image("b.png")]}, "says 4 x 4"),
    ],
)
def test_a_file_that_is_not_cocos_is_told(
    pictures: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        _samples(pictures, _coco(tmp_path / "boxes.json", **changes))
    assert caught.value.hint


def test_coco_json_of_arrays_is_refused(tmp_path: Path) -> None:
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "a.npy", np.zeros((3, 40, 40), np.float32))
    source = DataSource(arrays=tmp_path / "arrays", labels=_coco(tmp_path / "boxes.json"))
    with pytest.raises(DataError, match="COCO JSON labels pictures"):
        open_dataset(source, INPUT, base=tmp_path, labelled=True)


@pytest.mark.parametrize(
    ("preprocess", "words"),
    [
        ({"letterbox": 40, "resize": 50}, "remove `resize`"),
        ({"fill": 3}, "`fill` belongs to `letterbox`"),
        ({"letterbox": 40, "fill": 300}, "0 to 255"),
        ({"letterbox": 40, "fill": [1, 2]}, "3 channels"),
    ],
)
def test_a_letterbox_that_contradicts_itself_is_refused(
    preprocess: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        DataSource(images=Path("x"), preprocess=preprocess)


def test_a_letterbox_of_another_size_is_told_with_the_right_one(pictures: Path) -> None:
    source = DataSource(images=pictures, preprocess={"letterbox": [30, 40]})
    with pytest.raises(DataError, match="becomes 40 x 30") as caught:
        open_dataset(source, INPUT, base=pictures.parent)
    assert "letterbox: [40, 40]" in str(caught.value.hint)
