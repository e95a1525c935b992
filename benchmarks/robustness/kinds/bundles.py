"""Bundles of which files, the manifest or both were tampered with, through `benchmark`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.robustness.case import Case
from snapq.bundle.manifest import checksum_of
from tests.bundle.bundles import make

_MANIFEST = "manifest.json"
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 1 << 31, 1 << 63, 10**30, 0.5, -0.5, 1e308, float("nan")),
    *(
        "",
        "a",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "model.onnx",
        "golden",
        "\x1b[2J",
        "\ud800",
    ),
    *(
        "\u202e",
        "x" * 5000,
        "int4",
        "float32",
        "uint8",
        "qcs9075",
        "snapq.bundle/2",
        "a\0b",
        "a\\b",
    ),
    *([], {}, [[]], [0], [1, 2, 3, 4, 5], [10**9] * 4, {"a": 1}, ["model.onnx"], [{}], "0" * 64),
)


def prepare(shared: Path) -> None:
    make(shared, devices=("qcs6490", "qcs9075"))
    make(shared / "cut", tail=True)


def draw(random: Random, folder: Path) -> Case:
    """Copies the bundle and changes one to three things; often the hashes are made to fit again."""
    bundle = folder / "bundle"
    cut = random.random() < 0.3
    shutil.copytree(folder.parent / "shared" / ("cut/bundle" if cut else "bundle"), bundle)
    names = []
    for _ in range(random.choice((1, 1, 2, 3))):
        change = random.choice(_CHANGES)
        change(bundle, random)
        names.append(change.__name__.strip("_"))
    if random.random() < 0.6 and _hash_again(bundle):
        names.append("hashed again")
    device = ("--allow", "cpu", "--no-history")
    short = ("--min-runs", "1", "--min-duration", "0", "--repeats", "1", "--warmup", "0")
    json_ = ("--json",) if random.random() < 0.4 else ()
    return Case(
        ("with a tail: " if cut else "") + " and ".join(names),
        (("benchmark", "bundle", *device, *short, *json_),),
        frozenset({0, 2}),
    )


def _file(bundle: Path, random: Random) -> Path:
    files = sorted(path for path in bundle.rglob("*") if path.is_file() and not path.is_symlink())
    return random.choice(files) if files else bundle / "gone"


def _byte_changed(bundle: Path, random: Random) -> None:
    path = _file(bundle, random)
    data = bytearray(path.read_bytes())
    for _ in range(random.choice((1, 1, 10, 200))):
        if data:
            data[random.randrange(len(data))] = random.randrange(256)
    path.write_bytes(bytes(data))


def _cut(bundle: Path, random: Random) -> None:
    path = _file(bundle, random)
    data = path.read_bytes()
    path.write_bytes(data[: random.choice((0, 1, len(data) // 2, max(0, len(data) - 1)))])


def _grown(bundle: Path, random: Random) -> None:
    path = _file(bundle, random)
    path.write_bytes(path.read_bytes() + random.randbytes(random.choice((1, 1000))))


def _gone(bundle: Path, random: Random) -> None:
    _file(bundle, random).unlink(missing_ok=True)


def _other_file(bundle: Path, random: Random) -> None:
    shutil.copyfile(_file(bundle, random), _file(bundle, random).with_suffix(".x"))
    path = _file(bundle, random)
    path.write_bytes(_file(bundle, random).read_bytes())


def _linked(bundle: Path, random: Random) -> None:
    path = _file(bundle, random)
    path.unlink(missing_ok=True)
    to = random.choice(("/etc/passwd", path.name, "nowhere", "..", "/dev/zero", "manifest.json"))
    path.symlink_to(to)


def _a_folder(bundle: Path, random: Random) -> None:
    path = _file(bundle, random)
    path.unlink(missing_ok=True)
    path.mkdir(exist_ok=True)


def _a_pipe(bundle: Path, random: Random) -> None:
    path = _file(bundle, random)
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _value(bundle: Path, random: Random) -> None:
    """A value of the manifest, wherever it stands, is another."""
    manifest = _read(bundle)
    places = _places(manifest) if isinstance(manifest, dict | list) else []
    if places:
        holder, key = random.choice(places)
        if random.random() < 0.2:
            del holder[key]
        elif random.random() < 0.1 and isinstance(holder, list):
            holder.append(random.choice(holder))
        else:
            holder[key] = random.choice(_VALUES)
        _write(bundle, manifest)


def _key(bundle: Path, random: Random) -> None:
    manifest = _read(bundle)
    if isinstance(manifest, dict):
        holders = [manifest, *(h[k] for h, k in _places(manifest) if isinstance(h[k], dict))]
        random.choice(holders)[random.choice(("more", "", "files", "__class__"))] = 1
        _write(bundle, manifest)


def _no_json(bundle: Path, random: Random) -> None:
    texts = (b"", b"[", b"\xff\xfe", b"null", b"7", b"[" * 100_000, b'{"a":' * 50_000, b"NaN")
    path = bundle / _MANIFEST
    if path.is_file() and not path.is_symlink():
        path.write_bytes(random.choice(texts))


Change = Callable[[Path, Random], None]
_CHANGES: tuple[Change, ...] = (
    *(_value,) * 9,
    *(_byte_changed,) * 4,
    *(_cut, _grown, _gone, _other_file, _linked, _key, _no_json, _a_folder, _a_pipe),
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    found = []
    for key in value if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], dict | list):
            found += _places(value[key])
    return found


def _read(bundle: Path) -> Any:
    path = bundle / _MANIFEST
    try:
        return json.loads(path.read_bytes()) if path.is_file() else None
    except (ValueError, RecursionError):
        return None


def _write(bundle: Path, manifest: Any) -> None:
    """Writes the manifest, and lets it vouch for itself, as who means harm would."""
    if isinstance(manifest, dict) and "checksum" in manifest:
        manifest["checksum"] = checksum_of(manifest)
    (bundle / _MANIFEST).write_text(json.dumps(manifest))


def _hash_again(bundle: Path) -> bool:
    """Makes sizes and hashes of the manifest those of the files, as who means harm would."""
    manifest = _read(bundle)
    rows = manifest.get("files") if isinstance(manifest, dict) else None
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and isinstance(row.get("path"), str) and "\0" not in row["path"]:
            path = bundle / row["path"].encode("ascii", "replace").decode()
            if len(str(path)) < 200 and path.is_file() and path.stat().st_size < 1 << 24:
                data = path.read_bytes()
                row |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if rows is None:
        return False
    _write(bundle, manifest)
    return True
