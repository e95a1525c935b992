"""Trains a forest and a support vector machine on scikit-learn's digits, and writes both as ONNX.

The data come with scikit-learn: 1,797 pictures of 8 x 8 grey values from 0 to 16. Half of them
train, the other half go into `data/test.csv` for the comparison.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

HERE = Path(__file__).parent


def main() -> None:
    """Writes `model/*.onnx` and `data/*.csv`."""
    digits = load_digits()
    pixels = digits.data.astype(np.float32)
    train, test, train_labels, test_labels = train_test_split(
        pixels, digits.target, test_size=0.5, random_state=0, stratify=digits.target
    )
    models = {
        "forest": RandomForestClassifier(100, max_depth=10, random_state=0),
        "machine": make_pipeline(StandardScaler(), SVC()),
    }
    (HERE / "model").mkdir(exist_ok=True)
    for name, model in models.items():
        model.fit(train, train_labels)
        print(f"{name}: {model.score(test, test_labels):.1%} of the test digits")
        converted = to_onnx(model, train[:1], options={"zipmap": False})
        (HERE / "model" / f"{name}.onnx").write_bytes(converted.SerializeToString())
    write("train.csv", digits.feature_names, train, train_labels)
    write("test.csv", digits.feature_names, test, test_labels)


def write(name: str, columns: list[str], rows: np.ndarray, labels: np.ndarray) -> None:
    """Writes a table with a column for each pixel and one for the digit."""
    (HERE / "data").mkdir(exist_ok=True)
    with (HERE / "data" / name).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([*columns, "digit"])
        table.writerows([*row, label] for row, label in zip(rows.tolist(), labels, strict=True))


if __name__ == "__main__":
    main()
