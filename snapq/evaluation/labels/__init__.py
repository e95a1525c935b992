"""Labels of files: class numbers, texts, arrays, masks or boxes, in the forms that tools write.

- a CSV with the columns `file,label`: class numbers; with `file,text`: texts;
- a `.npy` in the files' order;
- a folder of masks named as the pictures;
- a `.json` as COCO has it, or a folder of `.txt` files as YOLO has them: boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from snapq.config import ClassNumbers, Preprocess
from snapq.errors import DataError
from snapq.evaluation.labels.arrays import array_labels, load_npy
from snapq.evaluation.labels.classes import read_csv
from snapq.evaluation.labels.coco import read_coco
from snapq.evaluation.labels.masks import read_masks
from snapq.evaluation.labels.texts import read_alphabet, read_texts
from snapq.evaluation.labels.yolo import has_yolo_files, read_yolo
from snapq.evaluation.samples import Label

__all__ = ["Labels", "array_labels", "load_npy", "no_labels", "read_labels"]

Labels = Callable[[Path], Label | None]
"""Gives the label of a file, which is named relative to its folder."""


def no_labels(_: Path) -> None:
    """The labels of files that have none."""


def read_labels(
    path: Path,
    files: Sequence[Path],
    *,
    folder: Path,
    preprocess: Preprocess | None = None,
    class_numbers: ClassNumbers = ClassNumbers.POSITIONS,
    alphabet: Path | None = None,
) -> Labels:
    """Reads the labels of these files.

    Args:
        path: where the labels are.
        files: all files of the data set, relative to `folder`.
        folder: where the files are.
        preprocess: geometry that masks and boxes share with their pictures; None where the files
            are no pictures.
        class_numbers: what a category of COCO is for the model.
        alphabet: of texts, the characters of the model's classes.

    Raises:
        DataError: labels and files do not match, or a label cannot be read.
    """
    if path.is_dir() and preprocess is not None and has_yolo_files(path, files):
        return read_yolo(path, files, folder, preprocess)
    if path.is_dir():
        return read_masks(path, files, preprocess or Preprocess())
    if not path.exists():
        hint = "Paths in the YAML file are relative to the YAML file's folder."
        raise DataError("There is no such file or folder of labels.", where=str(path), hint=hint)
    if path.suffix.lower() == ".npy":
        values = array_labels(load_npy(path), len(files), path)
        table = dict(zip(files, values, strict=True))
        return table.__getitem__
    if path.suffix.lower() == ".json":
        if preprocess is None:
            hint = "Give `images:`, or the labels as .npy."
            raise DataError("COCO JSON labels pictures.", where=str(path), hint=hint)
        return read_coco(path, files, folder, preprocess, class_numbers)
    if alphabet is not None:
        return read_texts(path, files, read_alphabet(alphabet), folder=folder).__getitem__
    return read_csv(path, files, folder=folder).__getitem__
