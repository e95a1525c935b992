"""A package as text for the elements of Qualcomm's IM SDK."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapq import api
from snapq.bundle.application.gstreamer import gstreamer
from snapq.errors import ConfigError
from tests.bundle.application.packages import CLASSIFIER, DETECTOR, WIDE


def test_outputs_have_an_offset_and_a_scale_each_in_order() -> None:
    text = gstreamer(DETECTOR)
    assert "q-offsets=<37.0, -128.0>,q-scales=<0.0123456789, 0.0123456789>;" in text
    assert 'mean="<0.0, 0.0, 0.0>" sigma="<0.00392156862745098,' in text
    assert "subpixel-layout=reverse" in text
    assert "image-disposition=centre" in text


def test_raw_pixels_need_no_mean() -> None:
    text = gstreamer(CLASSIFIER)
    assert 'constants="snapq,q-offsets=<0.0>,q-scales=<0.00390625>;"' in text
    assert "takes pixels as they are" in text
    assert "mean=" not in text


def test_codes_that_no_element_reads_are_refused() -> None:
    with pytest.raises(ConfigError, match="'depth' has codes of uint16"):
        gstreamer(WIDE)


@pytest.mark.npu
def test_a_bundle_is_exported_and_a_model_is_refused(bundle: Path, tmp_path: Path) -> None:
    done = api.export_encodings(bundle, tmp_path / "p.txt", file_format="gstreamer")
    assert done.count == 1
    assert "q-offsets" in (tmp_path / "p.txt").read_text()
    with pytest.raises(ConfigError, match="This is no bundle"):
        api.export_encodings(bundle / "model.onnx", tmp_path / "q.txt", file_format="gstreamer")


@pytest.mark.npu
def test_encodings_of_a_bundle_are_those_of_its_model(bundle: Path, tmp_path: Path) -> None:
    done = api.export_encodings(bundle, tmp_path / "bundle.json")
    assert done == api.export_encodings(bundle / "model.onnx", tmp_path / "model.json")
    assert (tmp_path / "bundle.json").read_bytes() == (tmp_path / "model.json").read_bytes()
