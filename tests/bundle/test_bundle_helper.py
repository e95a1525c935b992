"""snapq_io.py: the helper that a user copies to the board."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx_ir as ir
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from snapq.bundle import snapq_io
from snapq.bundle.manifest import input_entry
from snapq.bundle.read import Bundle
from snapq.config import Align, Color, Io, Preprocess, Resample
from snapq.evaluation.labels.boxes import in_the_input
from snapq.evaluation.preprocess import to_frame
from snapq.evaluation.samples import Sample
from snapq.graph.boundary import plan
from snapq.graph.shapes import TensorSpec
from snapq.stages.package.build import Built
from tests.bundle.bundles import PICTURES
from tests.graph.boundary.small_models import IMAGENET, WHOLE, image_samples, run

Made = tuple[Built, Path]

BARE = """
import importlib.abc, json, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("snapq", "onnx", "onnx_ir", "PIL", "pydantic", "yaml"):
            raise ImportError(name + " is not on the board")

sys.meta_path.insert(0, Refuse())
sys.path.insert(0, sys.argv[1])
import numpy as np
import snapq_io
package = snapq_io.load(sys.argv[1])
picture = np.load(sys.argv[2])
session = package.open_session("cpu")
outputs = session.run(None, package.feeds({"image": package.preprocess(picture)}))
print(json.dumps(package.read(outputs)["scores"].tolist()))
"""


@pytest.mark.npu
def test_a_bare_process_gets_the_same_values_with_numpy_and_onnxruntime(
    made: Made, tmp_path: Path
) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (31, 45, 3)).astype(np.uint8)
    np.save(tmp_path / "picture.npy", picture)
    done = subprocess.run(
        [sys.executable, "-IB", "-c", BARE, str(made[1]), str(tmp_path / "picture.npy")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    bundle = Bundle.open(made[1])
    sample = Sample("x", {}, {"image": to_frame(Image.fromarray(picture), PICTURES)})
    feeds = bundle.boundary.package_feeds(sample)
    expected = bundle.boundary.package_outputs(run(ir.load(bundle.model), feeds))["scores"]
    np.testing.assert_allclose(eval(done.stdout), expected, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(24, 90), st.integers(24, 90)),
    resize=st.one_of(st.integers(24, 90), st.tuples(st.integers(20, 70), st.integers(20, 70))),
    resample=st.sampled_from(list(Resample)),
    color=st.sampled_from(list(Color)),
    seed=st.integers(0, 9),
)
def test_preprocess_is_pillows_arithmetic(
    size: tuple[int, int],
    resize: int | tuple[int, int],
    resample: Resample,
    color: Color,
    seed: int,
) -> None:
    preprocess = Preprocess(resize=resize, crop=(18, 20), color=color, resample=resample)
    picture = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    channels = 1 if color is Color.GRAY else 3
    spec = TensorSpec("image", np.dtype(np.float32), (1, channels, 18, 20))
    package = package_of(spec, preprocess)
    expected = to_frame(Image.fromarray(picture), preprocess)
    # Before 13, Pillow never resized rows first; where it does now, values move by one.
    steps = 0 if int(PIL.__version__.split(".")[0]) >= 13 else 1
    for found in (
        package.preprocess(picture),
        package.preprocess(picture[:, :, ::-1], color="bgr"),
    ):
        assert np.abs(found.astype(int) - expected.astype(int)).max() <= steps


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(5, 90), st.integers(5, 90)),
    frame=st.one_of(st.integers(16, 60), st.tuples(st.integers(16, 60), st.integers(16, 60))),
    color=st.sampled_from(list(Color)),
    align=st.sampled_from(list(Align)),
    seed=st.integers(0, 9),
)
def test_a_letterbox_is_filled_as_snapq_fills_it_and_boxes_find_back(
    size: tuple[int, int],
    frame: int | tuple[int, int],
    color: Color,
    align: Align,
    seed: int,
) -> None:
    channels = 1 if color is Color.GRAY else 3
    fill = (7, 114, 200)[:channels]
    preprocess = Preprocess(letterbox=frame, fill=fill, color=color, align=align)
    height, width = (frame, frame) if isinstance(frame, int) else frame
    spec = TensorSpec("image", np.dtype(np.float32), (1, channels, height, width))
    picture = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    package = package_of(spec, preprocess)
    found, expected = package.preprocess(picture), to_frame(Image.fromarray(picture), preprocess)
    steps = 0 if int(PIL.__version__.split(".")[0]) >= 13 else 1
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= steps

    boxes = np.array([[1.0, 2, size[1], size[0], 0, 0], [0, 0, 3, 4, 1, 0]])
    inside = in_the_input(boxes, (size[1], size[0]), preprocess)
    assert (inside[:, :4] >= 0).all()
    assert (inside[:, :4] <= [width, height, width, height]).all()
    back = package.to_picture(inside, picture)
    if len(back) == len(boxes):  # a picture may become so small that a box has no area
        tolerance = np.divide(size[::-1], inside[0, 2:4] - inside[0, :2]).max() / 2
        np.testing.assert_allclose(back, boxes, atol=1e-6 + tolerance)


@pytest.mark.parametrize("preprocess", [WHOLE, IMAGENET])
@pytest.mark.parametrize("io", [Io(), Io(layout="as-is"), Io(dtype="float"), Io(dtype="quantized")])
@pytest.mark.parametrize("shape", [(1, 3, 6, 8), (1, 6, 8, 3)])
def test_feeds_are_those_that_snapq_itself_makes(
    shape: tuple[int, ...], io: Io, preprocess: Preprocess
) -> None:
    spec = TensorSpec("image", np.dtype(np.float32), shape)
    boundary = plan([spec], io, {"image": preprocess})
    package = package_of(spec, preprocess, io)
    for sample in image_samples(shape, preprocess, 2):
        expected = boundary.package_feeds(sample)["image"]
        for given_as in (sample.frames["image"], sample.frames["image"][0]):
            np.testing.assert_array_equal(package.feeds({"image": given_as})["image"], expected)
        np.testing.assert_allclose(
            package.feeds({"image": sample.feeds["image"]})["image"], expected, atol=1e-6
        )


@pytest.mark.npu
def test_wrong_feeds_are_refused_by_name(made: Made) -> None:
    package = snapq_io.load(made[1])
    with pytest.raises(ValueError, match=r"unknown \['img'\], missing \['image'\]"):
        package.feeds({"img": np.zeros(1)})
    with pytest.raises(ValueError, match=r"image: shape \[1, 9, 16, 3\], the package takes"):
        package.feeds({"image": np.zeros((1, 9, 16, 3), np.uint8)})
    with pytest.raises(ValueError, match="not compiled for sm8650"):
        package.model_path("sm8650")


def package_of(spec: TensorSpec, preprocess: Preprocess, io: Io | None = None) -> snapq_io.Package:
    """The helper for a package of one input, without a bundle on disk."""
    (item,) = plan([spec], io or Io(), {spec.name: preprocess}).inputs
    entry = input_entry(item).model_dump(mode="json")
    return snapq_io.Package(Path(), {"inputs": [entry], "outputs": [], "devices": []})
