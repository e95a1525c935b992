"""Data sets that are broken or odd: pictures, arrays, tables and labels, through a run."""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.robustness import projects
from benchmarks.robustness.case import Case
from benchmarks.robustness.hostile_values import letters, scalar
from benchmarks.robustness.mutations import spoil_bytes

_DEPLOY = """\
name: data
model: {{path: tiny.onnx, inputs: {{image: [1, 3, 32, 32]}}}}
devices: [qcs9075]
data:
  calibration: {calibration}
  evaluation: {evaluation}
metric: {metric}
stages: [{{quantize: {{preset: fast}}}}]
"""
_PREPROCESS = (
    "{mean: 127, std: 128}",
    "{resize: 32, crop: 32, mean: [1, 2, 3], std: 255}",
    "{resize: [32, 32], color: bgr, resample: nearest}",
    "{letterbox: 32, fill: 0}",
)
_METRICS = ("null", "top1", "top5", "f1", "auc", "miou", "map50", "psnr", "mae", "eer", "pck")
_MODES = ("1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16")
_SIZES = ((1, 1), (32, 32), (1, 3000), (3000, 1), (31, 33), (0, 0), (640, 480))
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "ICO")
_DTYPES = (
    *("f4", "f2", "f8", ">f4", "i8", "u1", "bool", "c8", "U3", "S3", "M8[s]", "O", "V8"),
    *("f4,i4", "f16"),
)
_SHAPES = (
    *((4, 3, 32, 32), (4, 32, 32, 3), (3, 32, 32), (0, 3, 32, 32), (4, 3, 32, 0), (), (4,)),
    *((1, 3, 32, 32), (4, 1, 3, 32, 32)),
)


def prepare(shared: Path) -> None:
    projects.make(shared)


def draw(random: Random, folder: Path) -> Case:
    """Writes a project whose samples or labels are odd; some of their bytes are spoilt too."""
    projects.link(folder)
    warnings.simplefilter("ignore")
    change = random.choice(_CHANGES)
    what, source = change(folder, random)
    if random.random() < 0.3:
        files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
        if files:
            path = random.choice(files)
            data, how = spoil_bytes(path.read_bytes(), random)
            path.write_bytes(data)
            what += f"; {how}"
    labelled = "label" in source and random.random() < 0.9
    metric = random.choice(_METRICS) if labelled else "null"
    calibration = "{random: true, samples: 2}" if random.random() < 0.5 else source
    text = _DEPLOY.format(calibration=calibration, evaluation=source, metric=metric)
    (folder / "deploy.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    json_ = ("--json",) if random.random() < 0.3 else ()
    return Case(f"{what}; {metric}", (("run", "deploy.yaml", "--output", "out", *json_),))


def _picture(random: Random) -> tuple[bytes, str]:
    mode, size, kind = random.choice(_MODES), random.choice(_SIZES), random.choice(_FORMATS)
    file = io.BytesIO()
    try:
        frames = [Image.new(mode, size) for _ in range(random.choice((1, 1, 3)))]
        frames[0].save(file, kind, **({"save_all": True} if kind in ("GIF", "TIFF") else {}))
    except (OSError, ValueError, KeyError, SystemError, MemoryError):
        Image.new("RGB", (33, 31), (255, 0, 0)).save(file, "PNG")
    return file.getvalue(), f"{kind} {mode} {size}"


def _pictures(folder: Path, random: Random) -> tuple[str, str]:
    place = folder / "mine"
    place.mkdir()
    told = []
    for number in range(random.choice((0, 1, 3))):
        data, what = _picture(random)
        suffix = random.choice((".png", ".jpg", ".JPG", ".bmp", ".tif", ".webp", ".gif", ""))
        (place / f"{number}{suffix}").write_bytes(data)
        told.append(what)
    odd = random.choice(("", "", "folder", "loop", "pipe", "text", "empty", "bomb", "name"))
    if odd == "folder":
        (place / "9.png").mkdir()
    elif odd == "loop":
        (place / "9.png").symlink_to("9.png")
        (place / "again").symlink_to(".")
    elif odd == "pipe":
        os.mkfifo(place / "9.png")
    elif odd in ("text", "empty"):
        (place / "9.png").write_text("no picture" if odd == "text" else "")
    elif odd == "bomb":
        (place / "9.ppm").write_bytes(b"P6 60000 60000 255\n" + bytes(100))
        (place / "9.png").write_bytes(_png_of(60_000))
    elif odd == "name":
        Image.new("RGB", (32, 32)).save(place / "a\x1b[2J\n.png")
    source = f"{{images: mine, preprocess: {random.choice(_PREPROCESS)}}}"
    return f"pictures: {', '.join(told)} {odd}", source


def _png_of(side: int) -> bytes:
    """The head of a PNG of side x side pixels."""
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[16:24] = side.to_bytes(4, "big") * 2
    return bytes(data)


def _labels(folder: Path, random: Random) -> tuple[str, str]:
    kind = random.choice(("csv", "npy", "coco", "yolo", "masks", "odd"))
    path = folder / {"csv": "l.csv", "npy": "l.npy", "coco": "l.json"}.get(kind, "l")
    if kind == "csv":
        path.write_text(_table(random, ("file", "label"), 8), errors="surrogateescape")
    elif kind == "npy":
        _write_array(path, random, ((8,), (8, 1), (8, 4), (7,), (), (8, 32, 32)))
    elif kind == "coco":
        path.write_text(json.dumps(_coco(random)).replace('"ODD"', _odd_json(random)))
    elif kind in ("yolo", "masks"):
        path.mkdir()
        for number in range(8):
            if kind == "yolo":
                row = " ".join(_number(random) for _ in range(random.choice((5, 5, 4, 6))))
                (path / f"{number}.txt").write_text(f"{row}\n")
            else:
                (path / f"{number}.png").write_bytes(_picture(random)[0])
    else:
        path = random.choice((folder / "tiny.onnx", folder / "none", folder / "pictures"))
    preprocess = random.choice(_PREPROCESS)
    numbers = random.choice(("", ", class_numbers: ids"))
    source = f"{{images: pictures, labels: {path.name}, preprocess: {preprocess}{numbers}}}"
    return f"labels: {kind}", source


def _number(random: Random) -> str:
    return random.choice(
        ("0", "1", "0.5", "0.25", "-1", "nan", "inf", "1e400", "²", "x", "9" * 400)
    )


def _odd_json(random: Random) -> str:
    return random.choice(("null", "-1", "1e400", "NaN", "[]", '"x"', "9" * 5000, '"\\ud800"', "{}"))


def _coco(random: Random) -> dict[str, Any]:
    value: dict[str, Any] = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 32, "height": 32} for n in range(8)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {"id": n, "image_id": n % 8, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0}
            for n in range(12)
        ],
    }
    holder = random.choice((value, *(random.choice(value[key]) for key in value)))
    key = random.choice(sorted(holder))
    if random.random() < 0.3:
        del holder[key]
    elif isinstance(holder[key], list) and random.random() < 0.5:
        holder[key][random.randrange(len(holder[key]))] = "ODD"
    else:
        holder[key] = "ODD"
    return value


def _table(random: Random, columns: tuple[str, ...], rows: int) -> str:
    lines = [",".join(columns)]
    for number in range(rows):
        values = [f"{number}.png", *(str(number % 4) for _ in columns[1:])]
        lines.append(",".join(values[: len(columns)]))
    for _ in range(random.choice((0, 1, 1, 3))):
        at = random.randrange(len(lines))
        lines[at] = random.choice(
            (
                f"{lines[at]},{scalar(random)}",
                lines[at].replace(",", ";"),
                lines[at].replace("1", _number(random)),
                f'"{lines[at]}',
                lines[at] + letters(random) * random.choice((1, 3, 200_000)),
                "",
                "../../etc/passwd,1",
            )
        )
    return random.choice(("\n", "\r\n", "\r")).join(lines)


def _write_array(path: Path, random: Random, shapes: tuple[tuple[int, ...], ...]) -> str:
    dtype, shape = random.choice(_DTYPES), random.choice(shapes)
    array = np.zeros(shape, dtype)
    if array.dtype.kind == "f" and array.size and random.random() < 0.3:
        array.flat[0] = random.choice((np.nan, np.inf, 6e4))
    if random.random() < 0.2:
        array = np.asfortranarray(array)
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=True)
    return f"{dtype} {shape}"


def _arrays(folder: Path, random: Random) -> tuple[str, str]:
    kind = random.choice(("npy", "npz", "folder"))
    if kind == "npy":
        told = _write_array(folder / "a.npy", random, _SHAPES)
        return f"array: {told}", "{arrays: a.npy}"
    if kind == "folder":
        (folder / "a").mkdir()
        told = ", ".join(
            _write_array(folder / "a" / f"{number}.npy", random, ((1, 3, 32, 32), *_SHAPES))
            for number in range(2)
        )
        return f"arrays: {told}", "{arrays: a}"
    names = random.sample(("image", "image", "other", "", "../x", "a\x1b[2J"), 2)
    arrays = {name: np.zeros(random.choice(_SHAPES), random.choice(_DTYPES)) for name in names}
    np.savez(folder / "a.npz", **arrays)
    return f"arrays: {names}", "{arrays: a.npz}"


def _rows(folder: Path, random: Random) -> tuple[str, str]:
    (folder / "t.csv").write_text(
        _table(random, ("name", "x", "image", "label"), random.choice((0, 1, 8))),
        errors="surrogateescape",
    )
    more = random.choice(("", ", label: label", ", columns: [x]", ", columns: [none], label: x"))
    return "table", f"{{table: t.csv{more}}}"


Change = Callable[[Path, Random], tuple[str, str]]
_CHANGES: tuple[Change, ...] = (_pictures, _pictures, _labels, _labels, _labels, _arrays, _rows)
