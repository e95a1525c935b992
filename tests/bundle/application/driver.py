"""A C program that puts values through every function of a header, and what snapq_io gives them.

Files: `in_ID.pictures` (for each: height, width, channels, order as int32, then pixels) becomes
`in_ID.frames` and `in_ID.frame_feeds`; `in_ID.values` becomes `in_ID.feed`; `out_ID.given` becomes
`out_ID.values`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from snapq.bundle.application.header import header, views
from snapq.bundle.application.tensors import TensorView
from snapq.bundle.schema import Manifest
from tests.bundle.application.packages import helper_of
from tests.bundle.application.toolchain import STRICT

Array = np.ndarray[Any, np.dtype[Any]]
_START = """\
#include <stdio.h>
#include "snapq_model.h"

static void *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) exit(3);
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    void *data = malloc(*bytes + 1);
    if (data == NULL || fread(data, 1, *bytes, file) != *bytes) exit(4);
    fclose(file);
    return data;
}

static void write_file(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "ab");
    if (file == NULL || fwrite(data, 1, bytes, file) != bytes) exit(5);
    fclose(file);
}

int main(void)
{
    size_t bytes = 0;
"""


def program(manifest: Manifest) -> str:
    """The driver of a package's header, C11 and C++17."""
    inputs, outputs = views(manifest)
    parts = [_START]
    for view in inputs:
        parts += [_picture(view)] if view.image else []
        parts += [_through(view, f"snapq_feed_{view.id}", "values", "feed")] if view.values else []
    parts += [_through(v, f"snapq_read_{v.id}", "given", "values") for v in outputs if v.values]
    return "".join((*parts, "    return 0;\n}\n"))


def _through(view: TensorView, function: str, before: str, after: str) -> str:
    types = (view.model_ctype, view.ctype) if view.kind == "in" else (view.ctype, view.model_ctype)
    place = f"{view.kind}_{view.id}"
    return f"""\
    {{
        {types[0]} *from = ({types[0]} *)read_file("{place}.{before}", &bytes);
        {types[1]} *to = ({types[1]} *)malloc({view.macro}_COUNT * sizeof({types[1]}) + 1);
        if (bytes != {view.macro}_COUNT * sizeof({types[0]})) return 6;
        {function}(from, to);
        write_file("{place}.{after}", to, {view.macro}_COUNT * sizeof({types[1]}));
        free(from);
        free(to);
    }}
"""


def _picture(view: TensorView) -> str:
    frame = f"{view.macro}_FRAME_COUNT"
    return f"""\
    {{
        uint8_t *file = (uint8_t *)read_file("in_{view.id}.pictures", &bytes);
        uint8_t *frames = (uint8_t *)malloc({view.frames} * {frame});
        {view.ctype} *feed = ({view.ctype} *)malloc({view.macro}_COUNT * sizeof({view.ctype}));
        for (size_t at = 0; at < bytes;) {{
            int32_t size[4];
            memcpy(size, file + at, sizeof size);
            at += sizeof size;
            for (size_t n = 0; n < {view.frames}; ++n)
                if (snapq_preprocess_{view.id}(file + at, size[0], size[1], size[2],
                                               (enum snapq_order)size[3],
                                               frames + n * {frame})) return 7;
            at += (size_t)size[0] * (size_t)size[1] * (size_t)size[2];
            snapq_feed_{view.id}_frame(frames, feed);
            write_file("in_{view.id}.frames", frames, {frame});
            write_file("in_{view.id}.frame_feeds", feed, {view.macro}_COUNT * sizeof({view.ctype}));
        }}
        free(file);
        free(frames);
        free(feed);
    }}
"""


def build(manifest: Manifest, folder: Path, compiler: Sequence[str]) -> Path:
    """Compiles the driver with a compiler and its options; a warning is an error."""
    (folder / "snapq_model.h").write_text(header(manifest, ["cat", 'a "dog"??/', "größe"]))
    source = folder / ("driver.cpp" if any("++" in word for word in compiler) else "driver.c")
    source.write_text(program(manifest))
    command = [*compiler, *STRICT, str(source), "-o", str(folder / "driver"), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "driver"


def write_inputs(manifest: Manifest, folder: Path, rng: np.random.Generator) -> dict[str, bytes]:
    """Writes what the driver reads, and returns what snapq_io makes of it, by file."""
    expected: dict[str, bytes] = {}
    package = helper_of(manifest)
    inputs, outputs = views(manifest)
    feeds = {view.name: _values(view.model_dtype, view.model_shape, rng) for view in inputs}
    made = package.feeds(feeds)
    for view in inputs:
        held = feeds[view.name]
        held.tofile(folder / f"in_{view.id}.values")
        expected[f"in_{view.id}.feed"] = made[view.name].tobytes()
        if view.image:
            pictures = list(_pictures(view, rng))
            _write_pictures(folder / f"in_{view.id}.pictures", pictures)
            frames = [package.preprocess(p, view.name, c) for p, c in pictures]
            repeated = [np.repeat(frame, view.frames, axis=0) for frame in frames]
            fed = [package.feeds({**feeds, view.name: f})[view.name].tobytes() for f in repeated]
            expected[f"in_{view.id}.frames"] = b"".join(frame.tobytes() for frame in frames)
            expected[f"in_{view.id}.frame_feeds"] = b"".join(fed)
    given = {view.name: _values(view.dtype, view.shape, rng) for view in outputs}
    read = package.read(given)
    for view in outputs:
        given[view.name].tofile(folder / f"out_{view.id}.given")
        value = read[view.name]
        wide = value.astype(np.float32) if value.dtype == np.float16 else value
        expected[f"out_{view.id}.values"] = wide.tobytes()
    return expected


def _values(dtype: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Values of a type, those of its edges among them."""
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
        # Indices fit into 32 bits, as the package holds them.
        low, high = max(low, -(2**31)), min(high, 2**31 - 1)
        return rng.integers(low, high, shape, kind, endpoint=True)
    if kind.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    values = rng.normal(0, 3, shape) * 10.0 ** rng.integers(-6, 6, shape)
    flat = np.atleast_1d(values).reshape(-1)
    edges = [0.0, -0.0, 0.5, -1.5, 65519.9, 65520.0, 1e30, -1e30, 6e-8, 2.5e-8, np.inf, -np.inf]
    flat[: len(edges)] = edges[: len(flat)]
    with np.errstate(over="ignore"):
        return flat.reshape(shape).astype(kind)


def _pictures(view: TensorView, rng: np.random.Generator) -> Iterator[tuple[Array, str]]:
    """Pictures of many sizes, and the order of their channels."""
    assert view.image is not None
    height, width = view.image.height, view.image.width
    sizes = [(height, width), (height * 2, width * 2), (height, width * 3), (height * 5, width)]
    side = max(height, width)
    sizes += [tuple(rng.integers(side, max(2 * side, 200), 2)) for _ in range(12)]
    if view.image.letterbox:
        sizes += [(1, 1), (3, 190), (190, 3), (7, 5)]
    for number, (rows, columns) in enumerate(sizes):
        channels = (3, 3, 4, 1)[number % 4]
        pixels = rng.integers(0, 256, (rows, columns, channels)).astype(np.uint8)
        yield pixels, "bgr" if number % 2 else "rgb"


def _write_pictures(path: Path, pictures: Sequence[tuple[Array, str]]) -> None:
    with path.open("wb") as file:
        for pixels, order in pictures:
            file.write(np.int32([*pixels.shape, int(order == "bgr")]).tobytes())
            file.write(pixels.tobytes())
