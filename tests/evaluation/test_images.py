"""Pictures become inputs as the YAML says, and what cannot is refused with its file named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snapq.config import DataSource
from snapq.errors import DataError, SnapqError
from snapq.evaluation.datasets import Sample, open_dataset
from snapq.graph.shapes import TensorSpec

SavePicture = Callable[..., Path]
Inputs = tuple[TensorSpec, ...]


def picture_input(*shape: int, dtype: str = "float32") -> Inputs:
    return (TensorSpec("input", np.dtype(dtype), shape),)


def samples(base: Path, inputs: Inputs, **source: object) -> list[Sample]:
    return list(open_dataset(DataSource(**source), inputs, base=base))


def refusal(base: Path, inputs: Inputs, labelled: bool = False, **source: object) -> SnapqError:
    with pytest.raises(DataError) as caught:
        list(open_dataset(DataSource(**source), inputs, base=base, labelled=labelled))
    assert caught.value.hint, "every refusal says how to mend it"
    return caught.value


def test_a_picture_gives_raw_pixels_and_normalized_input_in_the_models_layout(
    tmp_path: Path, save_picture: SavePicture
) -> None:
    path = save_picture("a.png")
    pixels = np.asarray(Image.open(path))
    preprocess = {"mean": [1, 2, 3], "std": [4, 5, 6]}
    wanted = (pixels.astype(np.float64) - [1, 2, 3]) / [4, 5, 6]

    (first,) = samples(tmp_path, picture_input(1, 3, 8, 8), images=path, preprocess=preprocess)
    (last,) = samples(tmp_path, picture_input(1, 8, 8, 3), images=path, preprocess=preprocess)

    np.testing.assert_array_equal(first.frames["input"], pixels[None])
    np.testing.assert_allclose(first.feeds["input"][0].transpose(1, 2, 0), wanted, rtol=1e-6)
    np.testing.assert_array_equal(
        last.feeds["input"][0].transpose(2, 0, 1), first.feeds["input"][0]
    )
    assert first.feeds["input"].dtype == np.float32


def test_bgr_swaps_the_channels_and_gray_has_one(
    tmp_path: Path, save_picture: SavePicture, photo_input: Inputs
) -> None:
    path = save_picture("a.png")
    (rgb,) = samples(tmp_path, photo_input, images=path)
    (bgr,) = samples(tmp_path, photo_input, images=path, preprocess={"color": "bgr"})
    gray_input = picture_input(1, 1, 8, 8)
    (gray,) = samples(tmp_path, gray_input, images=path, preprocess={"color": "gray"})

    np.testing.assert_array_equal(bgr.frames["input"], rgb.frames["input"][..., ::-1])
    np.testing.assert_array_equal(bgr.feeds["input"], rgb.feeds["input"][:, ::-1])
    luma = rgb.frames["input"] @ np.array([0.299, 0.587, 0.114])
    assert gray.frames["input"].shape == (1, 8, 8, 1)
    assert np.abs(gray.frames["input"][..., 0] - luma).max() <= 1


def test_resize_keeps_the_ratio_and_crop_takes_the_centre(
    tmp_path: Path, save_picture: SavePicture, photo_input: Inputs
) -> None:
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[6:14, 16:24] = 200
    path = save_picture("a.png", pixels=pixels)
    (cropped,) = samples(tmp_path, photo_input, images=path, preprocess={"crop": 8})
    assert (cropped.frames["input"] == 200).all()

    resize_and_crop = {"resize": 10, "crop": [8, 8]}
    (both,) = samples(tmp_path, photo_input, images=path, preprocess=resize_and_crop)
    assert both.frames["input"][0, 3:5, 3:5].min() > 190
    assert both.frames["input"][0, 0, 0].max() < 60

    (exact,) = samples(tmp_path, photo_input, images=path, preprocess={"resize": [8, 8]})
    assert exact.frames["input"].shape == (1, 8, 8, 3)


def test_the_camera_orientation_is_applied_before_the_size_is_checked(
    tmp_path: Path, save_picture: SavePicture
) -> None:
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, :2] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save_picture("a.png", pixels=pixels, exif=exif)
    (sample,) = samples(tmp_path, picture_input(1, 3, 8, 4), images=path)
    assert (sample.frames["input"][0, :2] == 255).all()
    assert (sample.frames["input"][0, 2:] == 0).all()


def test_transparent_pixels_show_white(
    tmp_path: Path, save_picture: SavePicture, photo_input: Inputs
) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4] = (10, 20, 30, 255)
    path = save_picture("a.png", pixels=pixels, mode="RGBA")
    (sample,) = samples(tmp_path, photo_input, images=path)
    assert (sample.frames["input"][0, :4] == (10, 20, 30)).all()
    assert (sample.frames["input"][0, 4:] == 255).all()


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    (sample,) = samples(
        tmp_path,
        picture_input(1, 1, 8, 8),
        images=tmp_path / "a.png",
        preprocess={"color": "gray"},
    )
    wanted = np.round(values / 257.0)
    np.testing.assert_array_equal(sample.frames["input"][0, :, :, 0], wanted)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LA"])
def test_pictures_of_any_mode_become_rgb(
    tmp_path: Path, save_picture: SavePicture, photo_input: Inputs, mode: str
) -> None:
    kind = "jpg" if mode in ("CMYK", "YCbCr") else "png"
    pixels = np.random.default_rng(1).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    path = save_picture(f"a.{kind}", pixels=pixels, mode=mode)
    (sample,) = samples(tmp_path, photo_input, images=path)
    assert sample.frames["input"].shape == (1, 8, 8, 3)


def test_an_input_of_raw_bytes_takes_pixels_as_they_are(
    tmp_path: Path, save_picture: SavePicture
) -> None:
    path = save_picture("a.png")
    raw = picture_input(1, 8, 8, 3, dtype="uint8")
    (sample,) = samples(tmp_path, raw, images=path)
    np.testing.assert_array_equal(sample.feeds["input"], sample.frames["input"])
    error = refusal(tmp_path, raw, images=path, preprocess={"mean": 127.5})
    assert "uint8" in error.what


def test_samples_are_evenly_spaced_sorted_and_counted(
    tmp_path: Path, save_picture: SavePicture, photo_input: Inputs
) -> None:
    for index in range(10):
        save_picture(f"data/{index % 2}/{index:02}.PNG")
    (tmp_path / "data" / "notes.txt").write_text("not a picture")
    save_picture("data/.hidden.png")
    found = open_dataset(DataSource(images="data", samples=4), photo_input, base=tmp_path)
    names = [Path(sample.name).name for sample in found]
    assert names == ["00.PNG", "04.PNG", "01.PNG", "05.PNG"]
    assert found.description == "4 of 10 images of data (1 other file left out)"
    more = open_dataset(DataSource(images="data", samples=99), photo_input, base=tmp_path)
    assert more.description.startswith("10 images of data (99 were asked for)")


def test_the_fingerprint_follows_content_options_and_labels(
    tmp_path: Path, save_picture: SavePicture, photo_input: Inputs
) -> None:
    for name in ("a", "b", "c"):
        save_picture(f"data/{name}.png")

    def fingerprint(**options: object) -> str:
        source = DataSource(images="data", **options)
        return open_dataset(source, photo_input, base=tmp_path).fingerprint()

    before = fingerprint()
    (tmp_path / "labels.csv").write_text("file,label\na.png,0\nb.png,1\nc.png,2\n")
    others = [fingerprint(samples=2), fingerprint(preprocess={"mean": 1})]
    others.append(fingerprint(labels="labels.csv"))
    assert fingerprint() == before
    save_picture("data/a.png", pixels=np.full((8, 8, 3), 7, np.uint8))
    others.append(fingerprint())
    assert len({before, *others}) == 5


def test_a_picture_of_the_wrong_size_is_refused_with_the_yaml_that_mends_it(
    tmp_path: Path, save_picture: SavePicture, photo_input: Inputs
) -> None:
    save_picture("data/a.png")
    wrong = save_picture("data/b.png", size=(30, 20))
    error = refusal(tmp_path, photo_input, images="data")
    assert error.where == str(wrong)
    assert "30 x 20" in error.what
    assert "8 x 8" in error.what
    assert "resize: [8, 8]" in (error.hint or "")

    small = refusal(tmp_path, photo_input, images="data", preprocess={"crop": 16})
    assert "smaller than the crop" in small.what


def _empty_file(folder: Path) -> None:
    (folder / "b.png").write_bytes(b"")


def _text_file(folder: Path) -> None:
    (folder / "b.png").write_text("this is no picture")


def _truncated_file(folder: Path) -> None:
    content = (folder / "a.png").read_bytes()
    (folder / "b.png").write_bytes(content[: len(content) // 2])


def _animation(folder: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(folder / "b.gif", save_all=True, append_images=frames[1:])


def _float_picture(folder: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.float32)).save(folder / "b.tif")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_empty_file, "empty"),
        (_text_file, "not an image"),
        (_truncated_file, "cannot be read"),
        (_animation, "2 pictures"),
        (_float_picture, "mode F"),
    ],
)
def test_a_spoiled_picture_is_refused_by_name(
    tmp_path: Path,
    save_picture: SavePicture,
    photo_input: Inputs,
    spoil: Callable[[Path], None],
    words: str,
) -> None:
    folder = save_picture("data/a.png").parent
    spoil(folder)
    error = refusal(tmp_path, photo_input, images="data")
    assert words in error.what
    assert str(folder / "b") in str(error.where)


def test_a_missing_or_empty_folder_is_refused(tmp_path: Path, photo_input: Inputs) -> None:
    assert "no such" in refusal(tmp_path, photo_input, images="nowhere").what
    (tmp_path / "data").mkdir()
    assert "empty" in refusal(tmp_path, photo_input, images="data").what
    (tmp_path / "data" / "a.txt").write_text("")
    assert "no image" in refusal(tmp_path, photo_input, images="data").what


@pytest.mark.parametrize(
    ("inputs", "options", "words"),
    [
        (picture_input(10, 3, 8, 8), {}, "inputs: {input: [1, 3, 8, 8]}"),
        (picture_input(1, 16), {}, "arrays"),
        (picture_input(1, 1, 8, 8), {}, "color: gray"),
        (picture_input(1, 3, 8, 8), {"preprocess": {"color": "gray"}}, "color: rgb"),
        (picture_input(1, 3, 8, 8), {"input": "inputs"}, "Did you mean 'input'?"),
        (picture_input(1, 3, 8, 8) + picture_input(1, 2), {}, "one key an input"),
    ],
)
def test_a_model_that_takes_no_such_picture_is_refused(
    tmp_path: Path,
    save_picture: SavePicture,
    inputs: Inputs,
    options: dict[str, object],
    words: str,
) -> None:
    path = save_picture("a.png")
    assert words in (refusal(tmp_path, inputs, images=path, **options).hint or "")


class TestLabels:
    @pytest.fixture(autouse=True)
    def _pictures(self, save_picture: SavePicture) -> None:
        save_picture("data/a.png")
        save_picture("data/sub/b.png")

    def test_a_table_gives_each_picture_its_class(
        self, tmp_path: Path, photo_input: Inputs
    ) -> None:
        table = tmp_path / "data" / "labels.csv"
        table.write_bytes("\ufefffile,label,note\r\nsub\\b.png,7,x\r\n./a.png, 3 ,y\r\n".encode())
        found = samples(tmp_path, photo_input, images="data", labels="data/labels.csv")
        assert [sample.label for sample in found] == [3, 7]

    @pytest.mark.parametrize(
        ("text", "words", "line"),
        [
            ("name,label\na.png,1\n", "file,label", ":1"),
            ("file,label\na.png,1\n", "1 of 2 files have no row", ""),
            ("file,label\na.png,1\na.png,1\nsub/b.png,1\n", "second row", ":3"),
            ("file,label\na.png,1\nsub/b.png,1\nc.png,1\n", "no c.png", ":4"),
            ("file,label\na.png,1\nsub/b.png,cat\n", "'cat'", ":3"),
            ("file,label\na.png,1\nsub/b.png,-1\n", "'-1'", ":3"),
            ("file,label\na.png\n", "columns", ":2"),
            ("file,label\na.png,1,2\n", "columns", ":2"),
            ("", "file,label", ":1"),
        ],
    )
    def test_a_table_that_does_not_match_is_refused_with_its_line(
        self, tmp_path: Path, photo_input: Inputs, text: str, words: str, line: str
    ) -> None:
        table = tmp_path / "labels.csv"
        table.write_text(text)
        error = refusal(tmp_path, photo_input, images="data", labels="labels.csv")
        assert words in error.what
        assert error.where == f"{table}{line}"

    def test_other_bytes_and_missing_tables_are_refused(
        self, tmp_path: Path, photo_input: Inputs
    ) -> None:
        (tmp_path / "labels.csv").write_bytes(b"file,label\n\xff\xfe.png,1\n")
        assert "UTF-8" in refusal(tmp_path, photo_input, images="data", labels="labels.csv").what
        assert "no such" in refusal(tmp_path, photo_input, images="data", labels="none.csv").what
        assert "no labels" in refusal(tmp_path, photo_input, labelled=True, images="data").what

    def test_masks_share_the_geometry_of_their_pictures(
        self, tmp_path: Path, save_picture: SavePicture, photo_input: Inputs
    ) -> None:
        mask = np.arange(16 * 16).reshape(16, 16).astype(np.uint8) // 64
        for name in ("a", "sub/b"):
            save_picture(f"data/{name}.png", size=(16, 16))
            save_picture(f"masks/{name}.png", pixels=mask, mode="L")
        source = {"images": "data", "labels": "masks", "preprocess": {"resize": [8, 8]}}
        found = samples(tmp_path, photo_input, **source)
        for sample in found:
            np.testing.assert_array_equal(sample.label, mask[1::2, 1::2])
        (tmp_path / "masks" / "a.png").unlink()
        assert "no mask" in refusal(tmp_path, photo_input, **source).what
