"""Encodings go to AIMET's files and come back, and a file for another model is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from snapq import api
from snapq.errors import ConfigError
from snapq.graph import io
from snapq.precision import ActivationType, WeightType
from snapq.quantization.exchange.files import FORMATS
from snapq.quantization.existing_qdq.strip import strip
from snapq.quantization.granularity import PerBlock
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.odd_models import MODELS, feeds
from tests.quantization.precision_rules.test_keep_wide import sounds, spectrum
from tests.quantization.qdq.test_blocks import products

MODEL = "squeeze_excite_and_residual"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "float.onnx"
    io.save(MODELS[MODEL](), path)
    return path


def quantized(model: Path, folder: Path, **options: str) -> Path:
    samples = feeds(io.load(model), 4)
    done = api.quantize(
        model, samples, devices=["qcs9075"], output=folder / "given.onnx", **options
    )
    return done.path


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize(
    "types",
    [{}, {"activations": "uint16"}, {"weights": "int4"}],
    ids=["w8a8", "w8a16", "w4a8"],
)
def test_encodings_come_back_as_they_went(
    file_format: str, types: dict[str, str], model: Path, tmp_path: Path
) -> None:
    first = quantized(model, tmp_path, **types)
    listed = api.export_encodings(
        first, tmp_path / "e.json", file_format=file_format, float_model=tmp_path / "f.onnx"
    )
    again = api.quantize(
        tmp_path / "f.onnx",
        encodings=tmp_path / "e.json",
        devices=["qcs9075"],
        output=tmp_path / "again.onnx",
    )
    before, after = (strip(io.load(path)).encodings for path in (first, again.path))
    assert listed.count == len(before)
    assert before == after
    assert any(held.axis is not None for held in before.values())


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_model_with_a_float_part_comes_back_without_samples(
    file_format: str, tmp_path: Path
) -> None:
    io.save(spectrum(), tmp_path / "float.onnx")
    first = api.quantize(
        tmp_path / "float.onnx",
        sounds([1.0] * 4),
        preset="fast",
        devices=["qcs9075"],
        output=tmp_path / "given.onnx",
    )
    api.export_encodings(
        first, tmp_path / "e.json", file_format=file_format, float_model=tmp_path / "f.onnx"
    )
    again = api.quantize(
        tmp_path / "f.onnx",
        encodings=tmp_path / "e.json",
        devices=["qcs9075"],
        output=tmp_path / "again.onnx",
    )
    before, after = (strip(io.load(path)).encodings for path in (first.path, again.path))
    assert before == after


def test_only_what_a_file_leaves_out_is_calibrated(model: Path, tmp_path: Path) -> None:
    first = quantized(model, tmp_path)
    api.export_encodings(first, tmp_path / "e.json", float_model=tmp_path / "f.onnx")
    document = json.loads((tmp_path / "e.json").read_text())
    gone = document["activation_encodings"].pop()
    (tmp_path / "e.json").write_text(json.dumps(document))
    again = api.quantize(
        tmp_path / "f.onnx",
        feeds(io.load(model), 1),
        encodings=tmp_path / "e.json",
        devices=["qcs9075"],
        output=tmp_path / "again.onnx",
    )
    before, after = (strip(io.load(path)).encodings for path in (first, again.path))
    assert {name for name in before if before[name] != after[name]} <= {gone["name"]}


def test_a_file_for_another_model_is_refused_with_the_nearest_names(
    model: Path, tmp_path: Path
) -> None:
    first = quantized(model, tmp_path)
    api.export_encodings(first, tmp_path / "e.json", float_model=tmp_path / "f.onnx")
    document = json.loads((tmp_path / "e.json").read_text())
    right = document["param_encodings"][0]["name"]
    document["param_encodings"][0]["name"] = right + "x"
    (tmp_path / "e.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=f"nearest: '{right}'"):
        api.quantize(tmp_path / "f.onnx", encodings=tmp_path / "e.json", output=tmp_path / "no")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"version": "2.0.0", "activation_encodings": {}}', "version"),
        ('{"version": "1.0.0"}', "no tensor"),
        ('{"version": "1.0.0", "activation_encodings": [{"name": "x"}]}', "cannot be read"),
    ],
)
def test_what_is_no_file_of_encodings_is_refused(
    text: str, what: str, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "e.json").write_text(text)
    with pytest.raises(ConfigError, match=what):
        api.quantize(model, encodings=tmp_path / "e.json", output=tmp_path / "no.onnx")


def test_an_encoding_that_cannot_be_is_refused(model: Path, tmp_path: Path) -> None:
    first = quantized(model, tmp_path)
    api.export_encodings(first, tmp_path / "e.json", float_model=tmp_path / "f.onnx")
    for change in ({"scale": [0.0]}, {"offset": [5]}, {"bw": 7}, {"scale": [np.pi] * 3}):
        document = json.loads((tmp_path / "e.json").read_text())
        document["activation_encodings"][0].update(change)
        (tmp_path / "bad.json").write_text(json.dumps(document))
        with pytest.raises(ConfigError, match="does not fit"):
            api.quantize(
                tmp_path / "f.onnx", encodings=tmp_path / "bad.json", output=tmp_path / "no.onnx"
            )


def by_blocks(tmp_path: Path) -> Path:
    """A Q/DQ model whose 4-bit weights have a scale for each block of 16 inputs."""
    io.save(products(), tmp_path / "float.onnx")
    scheme = Scheme(WeightType.INT4, ActivationType.UINT16, granularity=PerBlock(1, 16))
    made = quantize(products(), feeds(products(), 4), scheme).model
    io.save(made, tmp_path / "given.onnx")
    return tmp_path / "given.onnx"


def test_scales_of_blocks_come_back_as_they_went(tmp_path: Path) -> None:
    given = by_blocks(tmp_path)
    done = api.export_encodings(given, tmp_path / "e.json", float_model=tmp_path / "f.onnx")
    document = json.loads((tmp_path / "e.json").read_text())
    listed = [one for one in document["param_encodings"] if one["enc_type"] == "LPBQ"]
    again = api.quantize(
        tmp_path / "f.onnx",
        encodings=tmp_path / "e.json",
        devices=["qcs9075"],
        output=tmp_path / "again.onnx",
    )
    first, second = (strip(io.load(path)) for path in (given, again.path))
    before, after = first.encodings, second.encodings
    doubled = "matmul_8_weight"  # the product with 2 behind it is folded into it
    kept = after.keys() & before.keys() - {doubled}
    assert all(before[name] == after[name] for name in kept)
    assert np.array_equal(after[doubled].scale, 2 * before[doubled].scale)
    weights = (one.model.graph.initializers[doubled].const_value for one in (first, second))
    given_weight, folded = (np.asarray(one.numpy()) for one in weights if one is not None)
    assert np.array_equal(folded, 2 * given_weight)
    assert {n for n, one in before.items() if one.block} <= after.keys()
    assert done.left_out == ()
    assert len(listed) == sum(held.block == 16 for held in before.values()) == 3
    for one in listed:
        assert (one["bw"], one["compressed_bw"], one["block_size"]) == (8, 4, 16)
        assert set(one["offset"]) == {-128}
        assert 1 <= min(one["per_block_int_scale"]) <= max(one["per_block_int_scale"]) == 16


def test_a_list_of_all_scales_of_blocks_says_the_same(tmp_path: Path) -> None:
    given = by_blocks(tmp_path)
    api.export_encodings(given, tmp_path / "e.json", float_model=tmp_path / "f.onnx")
    document = json.loads((tmp_path / "e.json").read_text())
    for one in document["param_encodings"]:
        if one["enc_type"] == "LPBQ":
            times = np.reshape(one.pop("per_block_int_scale"), (len(one["scale"]), -1))
            scale = (np.float32(one["scale"])[:, None] * times.astype(np.float32)).reshape(-1)
            bits = one.pop("compressed_bw")
            one.update(
                enc_type="PER_BLOCK", bw=bits, scale=scale.tolist(), offset=[-8] * len(scale)
            )
    (tmp_path / "all.json").write_text(json.dumps(document))
    made = [
        api.quantize(
            tmp_path / "f.onnx",
            encodings=tmp_path / name,
            devices=["qcs9075"],
            output=tmp_path / f"{name}.onnx",
        ).path
        for name in ("e.json", "all.json")
    ]
    short, long = (strip(io.load(path)).encodings for path in made)
    assert short.keys() == long.keys()
    assert sum(held.block == 16 for held in long.values()) == 3
    for name, held in short.items():
        np.testing.assert_allclose(held.scale, long[name].scale, rtol=1e-6)
        assert held.block == long[name].block


def test_scales_of_blocks_without_a_common_step_are_listed_one_by_one(tmp_path: Path) -> None:
    model = io.load(by_blocks(tmp_path))
    name, held = next((n, e) for n, e in strip(model).encodings.items() if e.block)
    value = model.graph.initializers[f"{name}_scale"]
    odd = held.scale * np.linspace(1, 2, held.scale.size, dtype=np.float32).reshape(
        held.scale.shape
    )
    value.const_value = ir.tensor(odd, name=value.name)
    io.save(model, tmp_path / "odd.onnx")
    api.export_encodings(tmp_path / "odd.onnx", tmp_path / "e.json")
    document = json.loads((tmp_path / "e.json").read_text())
    listed = [one for one in document["param_encodings"] if one["enc_type"] == "PER_BLOCK"]
    assert [one["name"] for one in listed] == [name]
    assert (listed[0]["bw"], listed[0]["block_size"]) == (4, 16)
    assert sorted(listed[0]["scale"]) == sorted(odd.reshape(-1).tolist())


def test_a_version_without_blocks_leaves_them_out_and_names_them(tmp_path: Path) -> None:
    given = by_blocks(tmp_path)
    done = api.export_encodings(given, tmp_path / "e.json", file_format="aimet-0.6.1")
    held = strip(io.load(given)).encodings
    assert set(done.left_out) == {name for name, one in held.items() if one.block}
    assert done.count == len(held) - len(done.left_out)


def test_blocks_that_do_not_fit_the_weight_are_refused(tmp_path: Path) -> None:
    api.export_encodings(by_blocks(tmp_path), tmp_path / "e.json", float_model=tmp_path / "f.onnx")
    document = json.loads((tmp_path / "e.json").read_text())
    one = next(e for e in document["param_encodings"] if e["enc_type"] == "LPBQ")
    one["block_size"] = 8
    (tmp_path / "e.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="blocks of 8"):
        api.quantize(tmp_path / "f.onnx", encodings=tmp_path / "e.json", output=tmp_path / "no")
