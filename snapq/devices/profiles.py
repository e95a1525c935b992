"""Device profiles: what is known of a SoC, one YAML file each.

The files of `device_profiles/` at the top of the repository come with the package: a wheel has them
in `snapq/device_profiles`, an editable install reads the checkout's. A user's own folder
(`$SNAPQ_DEVICE_PROFILES`, else `~/.config/snapq/device_profiles`) adds profiles; one with the name
of a packaged profile replaces it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from snapq.config import Strict
from snapq.errors import DeviceError, StorageError
from snapq.home import user_path
from snapq.storage import parse_yaml, storage_errors

_IN_WHEEL = Path(__file__).parents[1] / "device_profiles"
_IN_CHECKOUT = Path(__file__).parents[2] / "device_profiles"
PACKAGED = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
FOLDER_VARIABLE = "SNAPQ_DEVICE_PROFILES"
_ARCHITECTURES = PACKAGED / "architectures.yaml"
_BRANDS = ("qualcomm", "snapdragon", "dragonwing")


@dataclass(frozen=True)
class DeviceProfile:
    """A SoC: what to compile for, and what it can run."""

    name: str
    """The chip in lower case, `sm8650`."""
    marketing: str
    """The name it is sold under, `Snapdragon 8 Gen 3`; the chip's where it has none."""
    soc_id: int
    """Qualcomm's number of the SoC, the `soc_model` of the execution provider."""
    architecture: int
    """Hexagon version: 75 is v75."""
    vtcm_mb: int | None
    """On-chip memory of the NPU in MB where it is published."""
    precisions: tuple[str, ...]
    """What the NPU can run, weights then activations: `w8a8`, `fp16`."""
    aliases: tuple[str, ...]
    """Other names; case, spaces and hyphens do not count."""
    os: tuple[str, ...]
    """Systems that it is known to run: `android`, `linux`, `windows`, `qnx`."""
    has_estimate: bool
    """Whether Qualcomm's compiler gives its Performance Estimate for this SoC."""
    sources: Mapping[str, str] = field(hash=False)
    """Where each fact comes from, by field."""


class _ProfileFile(Strict):
    """The schema of a profile's YAML file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    marketing: str | None = None
    soc_id: Annotated[int, Field(gt=0)]
    architecture: int
    vtcm_mb: Annotated[int, Field(gt=0)] | None = None
    fp16: bool
    aliases: tuple[str, ...] = ()
    os: tuple[str, ...] = ()
    has_estimate: bool = False
    sources: dict[str, str] = Field(default_factory=dict)


def user_folder() -> Path:
    """The folder in which a user keeps profiles of their own; it need not exist.

    Raises:
        StorageError: there is no home folder.
    """
    return user_path(
        "snapq/device_profiles",
        variable=FOLDER_VARIABLE,
        base="XDG_CONFIG_HOME",
        otherwise="~/.config",
    )


def all_profiles(folder: Path | None = None) -> tuple[DeviceProfile, ...]:
    """Every profile there is, sorted by name.

    Args:
        folder: the user's own profiles; `user_folder()` where it is not given.

    Raises:
        DeviceError: a file is not a valid profile, or two profiles share an id or a name.
    """
    own = _read_folder(folder) if folder is not None else _own()
    profiles = {file.name: (path, file) for path, file in (*_packaged(), *own)}
    _index(profiles.values())
    return tuple(_profile(*profiles[name]) for name in sorted(profiles))


def find(name: str) -> DeviceProfile:
    """The profile with this name, alias, marketing name or SoC id.

    Raises:
        DeviceError: no profile answers to it; the message offers the nearest.
    """
    profiles = all_profiles()
    wanted = _key(name)
    for profile in profiles:
        if wanted in _keys(profile):
            return profile
    close = _nearest(wanted, profiles)
    hint = f"Did you mean {', or '.join(close)}? " if close else ""
    if "," in name:
        hint = "Give each device by itself, such as --device sm8650 --device qcs9075. "
    raise DeviceError(
        f"No device is called {name!r}.", hint=f"{hint}`snapq devices` lists what there is."
    )


def search(text: str) -> tuple[DeviceProfile, ...]:
    """The profiles of a system (`windows`), of an architecture (`v75`), or of the id `text`.

    And those with `text` in their name or an alias.
    """
    wanted = _plain(text)
    return tuple(
        profile
        for profile in all_profiles()
        if wanted in (f"v{profile.architecture}", str(profile.soc_id), *profile.os)
        or any(wanted in _plain(n) for n in (profile.name, profile.marketing, *profile.aliases))
    )


def nearest_with_estimate(profile: DeviceProfile) -> DeviceProfile:
    """The device whose estimate says most about `profile`: itself where it has one.

    Else the nearest architecture counts, among devices that run every precision that `profile`
    runs; of two equally near the older, since its figure promises less; of several SoCs of that
    architecture the one with the same VTCM, then the first by name.

    Raises:
        DeviceError: no profile has an estimate.
    """
    if profile.has_estimate:
        return profile
    known = [p for p in all_profiles() if p.has_estimate]
    if not known:
        raise DeviceError("No device profile has an estimate.", where=profile.name)
    able = [p for p in known if set(profile.precisions) <= set(p.precisions)]
    return min(
        able or known,
        key=lambda p: (
            abs(p.architecture - profile.architecture),
            p.architecture,
            p.vtcm_mb != profile.vtcm_mb,
            p.name,
        ),
    )


def _plain(text: str) -> str:
    """Letters and digits alone: `8+ Gen 1` and `8plus-gen1` are the same."""
    return re.sub(r"[^a-z0-9]", "", text.lower().replace("+", "plus"))


def _key(text: str) -> str:
    """The part of a name that counts: `Snapdragon 8 Gen 3` and `8-gen-3` are the same."""
    key = _plain(text)
    for brand in _BRANDS:
        key = key.removeprefix(brand)
    return key


def _keys(profile: DeviceProfile | _ProfileFile) -> set[str]:
    names = (profile.name, profile.marketing or "", str(profile.soc_id), *profile.aliases)
    return {_key(name) for name in names} - {""}


def _nearest(wanted: str, profiles: Iterable[DeviceProfile]) -> list[str]:
    """Up to three devices with a name like `wanted`, best first, each with what it is sold as."""
    shown = {
        key: profile.name
        if _key(profile.marketing) == _key(profile.name)
        else f"{profile.name} ({profile.marketing})"
        for profile in profiles
        for key in sorted(_keys(profile))
    }
    close = difflib.get_close_matches(wanted, shown, n=6, cutoff=0.6)
    return list(dict.fromkeys(shown[key] for key in close))[:3]


def _index(files: Iterable[tuple[Path, _ProfileFile]]) -> None:
    """Checks that no two profiles answer to the same name or id."""
    owner: dict[str, Path] = {}
    for path, file in files:
        for key in sorted(_keys(file)):
            other = owner.setdefault(key, path)
            if other != path:
                raise DeviceError(
                    f"{key!r} is also a name or id of {other}.",
                    where=str(path),
                    hint="Give each profile an id and names of its own.",
                )


def _profile(path: Path, file: _ProfileFile) -> DeviceProfile:
    precisions, catalogue = _tables()
    if file.architecture not in precisions:
        known = ", ".join(map(str, precisions))
        raise DeviceError(
            f"architecture {file.architecture} is not one that the compiler knows.",
            where=str(path),
            hint=f"Use one of {known}.",
        )
    integer = precisions[file.architecture]
    return DeviceProfile(
        name=file.name,
        marketing=file.marketing or file.name.upper(),
        soc_id=file.soc_id,
        architecture=file.architecture,
        vtcm_mb=file.vtcm_mb,
        precisions=(*integer, "fp16") if file.fp16 else integer,
        aliases=file.aliases,
        os=file.os,
        has_estimate=file.has_estimate,
        sources={key: catalogue.get(source, source) for key, source in file.sources.items()},
    )


@cache
def _tables() -> tuple[dict[int, tuple[str, ...]], dict[str, str]]:
    """Integer precisions by architecture, and the catalogue of sources."""
    tables = _read_yaml(_ARCHITECTURES)
    precisions = {a: tuple(row) for a, row in tables["integer_precisions"].items()}
    return precisions, tables["sources"]


@cache
def _packaged() -> tuple[tuple[Path, _ProfileFile], ...]:
    return _read_folder(PACKAGED)


def _own() -> tuple[tuple[Path, _ProfileFile], ...]:
    """The user's own profiles; none where there is no home to keep them in."""
    try:
        folder = user_folder()
    except StorageError:
        return ()
    return _read_folder(folder)


def _read_folder(folder: Path) -> tuple[tuple[Path, _ProfileFile], ...]:
    with storage_errors(folder):
        paths = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
        paths = [path for path in paths if path != _ARCHITECTURES]
    return tuple((path, _read_profile(path)) for path in paths)


def _read_profile(path: Path) -> _ProfileFile:
    try:
        return _ProfileFile.model_validate(_read_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        known = ", ".join(_ProfileFile.model_fields)
        raise DeviceError(
            f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}."
            if key
            else "The file is no mapping (`key: value`).",
            where=str(path),
            hint=f"A profile has the keys {known}.",
        ) from error


def _read_yaml(path: Path) -> Any:
    with storage_errors(path):
        data = path.read_bytes()
    try:
        return parse_yaml(data)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DeviceError(f"not valid YAML: {reason}.", where=str(path)) from error
