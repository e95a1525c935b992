"""Options are checked before ONNX Runtime, which ignores what it does not know, sees them."""

from __future__ import annotations

import dataclasses

import pytest

from snapq.devices.profiles import DeviceProfile, find
from snapq.errors import ConfigError, DeviceError
from snapq.npu.qnn import availability, option_table
from snapq.npu.qnn.options import CompileOptions, Variants


def test_the_soc_is_always_given_by_number_and_nothing_competes_with_it(
    sm8650: DeviceProfile,
) -> None:
    options = CompileOptions().provider_options(sm8650)
    assert options["soc_model"] == "57"
    assert "htp_arch" not in options
    assert options["vtcm_mb"] == "8"


def test_an_unknown_option_is_refused_with_the_nearest_name(sm8650: DeviceProfile) -> None:
    options = CompileOptions(extra=(("htp_performanc_mode", "burst"),))
    with pytest.raises(ConfigError, match="Did you mean htp_performance_mode"):
        options.provider_options(sm8650)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("htp_performance_mode", "fast"),
        ("enable_htp_spill_fill_buffer", "true"),
        ("qnn_context_priority", "urgent"),
        ("rpc_control_latency", "-1"),
        ("op_affinity", ""),
    ],
)
def test_a_value_that_the_provider_would_ignore_is_refused(
    sm8650: DeviceProfile, name: str, value: str
) -> None:
    with pytest.raises(ConfigError, match=name):
        CompileOptions(extra=((name, value),)).provider_options(sm8650)


@pytest.mark.parametrize("name", ["htp_arch", "soc_model", "backend_path", "profiling_level"])
def test_what_snapq_sets_itself_cannot_be_given(sm8650: DeviceProfile, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be given"):
        CompileOptions(extra=((name, "75"),)).provider_options(sm8650)


def test_an_optimization_mode_that_does_not_exist_is_refused(sm8650: DeviceProfile) -> None:
    with pytest.raises(ConfigError, match="optimization_mode"):
        CompileOptions(optimization_mode=4).provider_options(sm8650)


def test_vtcm_is_never_more_than_the_device_has(sm8650: DeviceProfile) -> None:
    assert CompileOptions(vtcm_mb=4).provider_options(sm8650)["vtcm_mb"] == "4"
    with pytest.raises(DeviceError, match="has 8 MB of VTCM, not 64"):
        CompileOptions(vtcm_mb=64).provider_options(sm8650)


def test_other_sizes_of_vtcm_are_tried_with_the_highest_mode_alone() -> None:
    found = Variants((2, 3), vtcm_mb=(2, 4)).options(fp16=False)
    tried = [(one.optimization_mode, one.vtcm_mb) for one in found]
    assert tried == [(3, None), (3, 2), (3, 4), (2, None)]


def test_vtcm_of_a_device_whose_size_is_not_published_cannot_be_chosen(
    sm8650: DeviceProfile,
) -> None:
    secret = dataclasses.replace(sm8650, vtcm_mb=None)
    assert "vtcm_mb" not in CompileOptions().provider_options(secret)
    with pytest.raises(DeviceError, match="not published"):
        CompileOptions(vtcm_mb=2).provider_options(secret)


def test_fp16_is_refused_where_the_device_has_none() -> None:
    with pytest.raises(DeviceError, match="16-bit floating point"):
        CompileOptions(fp16=True).provider_options(find("qcs6490"))


@pytest.mark.parametrize("soc_id", [14, 12, 63, 118])
def test_ids_that_are_rejected_or_have_no_htp_are_refused(
    sm8650: DeviceProfile, soc_id: int
) -> None:
    with pytest.raises(DeviceError, match=f"SoC id {soc_id}"):
        CompileOptions().provider_options(dataclasses.replace(sm8650, soc_id=soc_id))


def test_every_option_of_the_table_is_known_to_the_installed_library() -> None:
    library = availability.library("libonnxruntime_providers_qnn").read_bytes()
    table = option_table.options_of(availability.status().version)
    # Short names are built from immediates in the code and are not strings of the library.
    unknown = [name for name in table if len(name) > 16 and name.encode() not in library]
    assert unknown == []
