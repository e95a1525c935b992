from __future__ import annotations

from pathlib import Path

import pytest

from snapq.devices import profiles
from snapq.devices.profiles import all_profiles, find, nearest_with_estimate, search
from snapq.errors import DeviceError

VALID = "name: {name}\nsoc_id: {soc_id}\narchitecture: 75\nfp16: true\n"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv(profiles.FOLDER_VARIABLE, str(folder))
    return folder


def write(folder: Path, name: str, text: str = VALID, soc_id: int = 900) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text.format(name=name, soc_id=soc_id))
    return path


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("sm8650", "sm8650"),
        ("SM8650", "sm8650"),
        ("snapdragon-8-gen-3", "sm8650"),
        ("Snapdragon 8 Gen 3", "sm8650"),
        ("8gen3", "sm8650"),
        ("57", "sm8650"),
        ("Snapdragon 8+ Gen 1", "sm8475"),
        ("8-elite", "sm8750"),
        ("8-elite-gen-5", "sm8850"),
        ("x-elite", "sc8380xp"),
        ("888", "sm8350"),
        ("qcs6490", "qcs6490"),
        ("qcm6490", "qcs6490"),
        ("RB3 Gen 2", "qcs6490"),
        ("iq-9075", "qcs9075"),
        ("QCS9100", "qcs9075"),
        ("SA8775P", "sa8255p"),
        ("Dragonwing IQ-9075 EVK", "qcs9075"),
        ("Arduino VENTUNO Q", "qcs8275"),
        ("Samsung Galaxy S24", "sm8650"),
        ("Dragonwing Q-7790", "sm7750"),
        ("Snapdragon XR2 Gen 2", "sxr2230p"),
        ("Snapdragon 8 Elite Gen 6 QRD", "sm8950"),
        ("113", "sm8950"),
    ],
)
def test_a_device_is_found_by_the_names_people_use(word: str, name: str) -> None:
    assert find(word).name == name


def test_each_profile_is_found_by_each_of_its_names() -> None:
    assert all_profiles()
    for profile in all_profiles():
        for word in (profile.name, profile.marketing, str(profile.soc_id), *profile.aliases):
            assert find(word) == profile


def test_each_fact_of_a_packaged_profile_names_its_source() -> None:
    for profile in all_profiles():
        stated = {"soc_id", "architecture", "fp16"}
        stated |= {"vtcm_mb"} if profile.vtcm_mb else set()
        stated |= {"has_estimate"} if profile.has_estimate else set()
        assert stated <= set(profile.sources) <= stated | {"aliases"}, profile.name


def test_a_packaged_profile_is_named_as_its_file() -> None:
    files = {path.stem for path in profiles.PACKAGED.glob("*.yaml")} - {"architectures"}
    assert files == {profile.name for profile in all_profiles(Path("nowhere"))}


def test_precisions_follow_the_architecture_and_fp16_the_chip() -> None:
    assert find("sm8350").precisions == ("w8a8", "w8a16", "w4a8", "w4a16", "fp16")
    assert find("qcs6490").precisions == ("w8a8", "w8a16", "w4a8", "w4a16")
    assert "w16a16" in find("sm8550").precisions


@pytest.mark.parametrize(
    ("word", "offered"),
    [("sm8651", "sm8650"), ("snapdragon 8 gen 33", "sm8650"), ("qcs9076", "qcs9075")],
)
def test_an_unknown_device_is_answered_with_the_nearest(word: str, offered: str) -> None:
    with pytest.raises(DeviceError, match=rf"Did you mean .*{offered}.*snapq devices"):
        find(word)


@pytest.mark.parametrize("word", ["", "snapdragon", "zzzzzzzz", "-1", "🦖"])
def test_a_word_that_names_nothing_is_refused(word: str) -> None:
    with pytest.raises(DeviceError, match="snapq devices"):
        find(word)


def test_search_finds_by_part_of_a_name_by_architecture_and_by_id() -> None:
    assert {p.name for p in search("8 elite")} == {"sm8750", "sm8850", "sm8950", "sm8975"}
    assert {p.architecture for p in search("v79")} == {79}
    assert [p.name for p in search("57")] == ["sm8650"]
    assert search("nothing like it") == ()


def test_search_finds_by_system() -> None:
    assert "sc8380xp" in {p.name for p in search("windows")}
    assert all("android" in p.os for p in search("Android"))
    assert {"qcs9075", "qcs6490"} <= {p.name for p in search("linux")}


def test_the_estimate_comes_from_the_nearest_device_that_can_do_as_much() -> None:
    def on(name: str) -> str:
        return nearest_with_estimate(find(name)).name

    assert on("qcs9075") == "qcs9075"
    assert on("sm8650") == "qcs9075"
    assert on("qcs6490") == "sa8540"
    assert on("sm8850") == "sa8797p"  # sar2230p is as near, but has no fp16
    assert on("sw6100") == "sar2230p"


def test_a_users_folder_adds_and_replaces(own: Path) -> None:
    write(own, "mychip")
    write(own, "sm8650", soc_id=57)
    assert find("mychip").marketing == "MYCHIP"
    assert find("sm8650").vtcm_mb is None
    assert len(all_profiles()) == len(all_profiles(Path("nowhere"))) + 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (VALID + "vtcm: 8\n", "vtcm: extra inputs"),
        (VALID + "vtcm_mb: large\n", "vtcm_mb: input should be a valid integer"),
        (VALID.replace("75", "70"), "architecture 70 is not one"),
        ("name: [unclosed\n", "not valid YAML"),
        ("just words\n", "The file is no mapping"),
        ("", "The file is no mapping"),
    ],
)
def test_a_bad_profile_is_refused_with_its_file(own: Path, text: str, found: str) -> None:
    path = write(own, "bad", text)
    with pytest.raises(DeviceError, match=found) as caught:
        all_profiles()
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    "text",
    [VALID.replace("{soc_id}", "57"), VALID + "aliases: [8-gen-3]\n"],
    ids=["id", "alias"],
)
def test_two_profiles_may_not_answer_to_one_name(own: Path, text: str) -> None:
    path = write(own, "twin", text)
    with pytest.raises(DeviceError, match=r"sm8650\.yaml") as caught:
        all_profiles()
    assert caught.value.where == str(path)
