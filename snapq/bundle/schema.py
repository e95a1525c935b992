"""The schema of `manifest.json`, strict: what it does not allow is refused before it is used."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from snapq.bundle.entries import (
    BundlePath,
    DeviceName,
    Dimensions,
    Dtype,
    Entry,
    Finite,
    Permutation,
    Pixel,
    Pixels,
    Sha256,
    Text,
    as_tuple,
    check_text,
)
from snapq.bundle.host_schema import BundleAnswers, BundleHost
from snapq.bundle.package_schema import BundlePackage
from snapq.records import EstimateRecord

SCHEMA: Literal["snapq.bundle/1"] = "snapq.bundle/1"
WITH_TAIL: Literal["snapq.bundle/2"] = "snapq.bundle/2"
"""Of a bundle with a tail: what reads version 1 only would leave the tail out in silence."""
WITH_HOST: Literal["snapq.bundle/3"] = "snapq.bundle/3"
"""Of a classical model, whose head and tail must not be left out either."""
WITH_PACKAGES: Literal["snapq.bundle/4"] = "snapq.bundle/4"
"""Of a bundle with packages of other devices; it may have a tail."""
WITH_BATCH: Literal["snapq.bundle/5"] = "snapq.bundle/5"
"""Of a bundle whose calls take several samples; it may have a tail, and packages."""
SCHEMAS = (SCHEMA, WITH_TAIL, WITH_HOST, WITH_PACKAGES, WITH_BATCH)
MOST_SAMPLES = 1024
"""Of a call."""
MAX_FILES = 10_000
MAX_FILE_BYTES = 1 << 40


class BundleFile(Entry):
    """One file of the bundle."""

    path: BundlePath
    """From the bundle's folder on, with `/`."""
    bytes: Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]
    """Its size."""
    sha256: Sha256
    """Of its content, in hexadecimal."""


class QuantizedAs(Entry):
    """`value = (code - zero_point) * scale`."""

    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """What one step of the code is worth."""
    zero_point: Annotated[int, Field(ge=-(2**31), lt=2**31)]
    """The code of 0."""


class ModelTensor(Entry):
    """An input or output as the float model has it."""

    dtype: Dtype
    """Its element type, by NumPy's name."""
    shape: Dimensions
    """Its shape."""


class BundleImage(Entry):
    """How a picture becomes the input."""

    color: Literal["rgb", "bgr", "gray"]
    """Order of the channels that the model takes."""
    mean: Annotated[tuple[Finite, ...], BeforeValidator(as_tuple)]
    """A number a channel: the model takes `(pixel - mean) / std` of pixels of 0 to 255."""
    std: Annotated[tuple[Annotated[Finite, Field(gt=0)], ...], BeforeValidator(as_tuple)]
    """A number a channel."""
    resize: Annotated[Pixels | tuple[Pixels, Pixels] | None, BeforeValidator(as_tuple)]
    """Length of the shorter side, or height and width; null: as the picture is."""
    crop: Annotated[Pixels | tuple[Pixels, Pixels] | None, BeforeValidator(as_tuple)]
    """Side of a square, or height and width, cut out after `resize`."""
    resample: Literal["nearest", "bilinear", "bicubic", "lanczos"]
    """Pillow's filter for `resize` and `letterbox`."""
    letterbox: Annotated[Pixels | tuple[Pixels, Pixels] | None, BeforeValidator(as_tuple)] = None
    """Side of a square, or height and width, that the picture fits into with its proportions."""
    fill: Annotated[tuple[Pixel, ...], BeforeValidator(as_tuple), Field(max_length=3)] = ()
    """Pixel around a letterboxed picture."""
    align: Literal["center", "top-left"] = "center"
    """Where `crop` cuts and `letterbox` puts."""


class BundleTensor(Entry):
    """What the package takes or gives under one name."""

    name: Text
    """The float model's name of it."""
    dtype: Dtype
    """Element type that the package takes or gives."""
    shape: Dimensions
    """Shape that the package takes or gives."""
    layout: Literal["as-is", "nhwc"]
    """`nhwc` where the package has the channels last and the float model has not."""
    encoding: QuantizedAs | None
    """What the codes mean; null of real numbers."""
    permutation: Permutation | None
    """`numpy.transpose(package, permutation)` has the float model's layout; null: as it is."""
    model: ModelTensor
    """The same in the float model."""

    @model_validator(mode="after")
    def _one_story(self) -> BundleTensor:
        order = self.permutation or tuple(range(len(self.shape)))
        if sorted(order) != list(range(len(self.shape))):
            raise ValueError("permutation and shape contradict each other")
        if tuple(self.shape[axis] for axis in order) != self.model.shape:
            raise ValueError("shape, permutation and model.shape contradict each other")
        if self.encoding is not None and "int" not in self.dtype:
            raise ValueError("an encoding needs an integer dtype")
        return self


class BundleInput(BundleTensor):
    """One input of the package."""

    image: BundleImage | None
    """How a picture becomes this input; null where it is none."""
    raw: bool
    """Whether 8-bit pixels feed it as they are; else whoever feeds it normalizes them."""
    folded: bool
    """Whether part of the normalization is in the graph."""
    channel_axis: int | None
    """Axis of the channels in the float model, for images."""

    @model_validator(mode="after")
    def _picture_fits(self) -> BundleInput:
        if self.image is None:
            if self.raw or self.folded or self.channel_axis is not None:
                raise ValueError("raw, folded and channel_axis belong to images")
            return self
        axis, rank = self.channel_axis, len(self.model.shape)
        if axis is None or not 0 <= axis < rank or rank not in (3, 4):
            raise ValueError("channel_axis does not fit the shape")
        channels = self.model.shape[axis]
        if not len(self.image.mean) == len(self.image.std) == channels:
            raise ValueError("mean and std do not fit the channels")
        if len(self.image.fill) != (channels if self.image.letterbox is not None else 0):
            raise ValueError("fill does not fit the channels")
        if self.image.letterbox is not None and (self.image.resize or self.image.crop):
            raise ValueError("letterbox gives the size by itself")
        if self.raw and (self.encoding is None or self.dtype != "uint8"):
            raise ValueError("raw pixels need a uint8 encoding")
        if self.folded and not self.raw:
            raise ValueError("folded belongs to raw pixels")
        return self


class BundleOutput(BundleTensor):
    """One output of the package."""


class BundleBinary(Entry):
    """What `QnnSystemContext_getBinaryInfo` says of a context binary."""

    path: BundlePath
    """The binary."""
    build: Text
    """QAIRT version that made it."""
    soc_id: int | None
    """SoC that it was compiled for, by Qualcomm's number."""
    architecture: int | None
    """Hexagon architecture: 75 is v75."""
    vtcm_mb: int | None
    """Fast memory that it was planned for, in MB."""
    graphs: Annotated[tuple[Text, ...], BeforeValidator(as_tuple)]
    """Names of the graphs in it."""


class BundleDevice(Entry):
    """The package compiled for one SoC."""

    device: DeviceName
    """Its name, as in `devices:` of deploy.yaml."""
    marketing: Text
    """What it is sold as."""
    soc_id: Annotated[int, Field(gt=0)]
    """Qualcomm's number of the SoC."""
    architecture: Annotated[int, Field(gt=0)]
    """Hexagon architecture: 75 is v75."""
    vtcm_mb: int | None
    """Fast memory that was planned for, in MB; null: left to the compiler."""
    model: BundlePath
    """The ONNX file to load; its binary stands beside it."""
    files: Annotated[tuple[BundlePath, ...], BeforeValidator(as_tuple)]
    """All files of this device."""
    binaries: Annotated[tuple[BundleBinary, ...], BeforeValidator(as_tuple)]
    """Its context binaries."""
    options: dict[Text, Text]
    """Options of the QNN provider that it was compiled with."""
    estimate: dict[str, Any] | None
    """Qualcomm's Performance Estimate of what is compiled, as in `run.json`."""
    golden: BundlePath | None
    """Folder with the simulated outputs for the samples in `golden/inputs`."""
    qairt: Text
    """QAIRT version that compiled it; a runtime of that version or a later one loads it."""
    fault: Text | None = None
    """What the NPU is known to compute wrongly; such a device has no golden outputs."""
    answers: Annotated[tuple[BundleAnswers, ...], BeforeValidator(as_tuple)] = ()
    """Of a classical model: what the golden outputs are as answers to the golden rows."""

    @model_validator(mode="after")
    def _estimate_is_one(self) -> BundleDevice:
        if self.estimate is not None:
            found = EstimateRecord.model_validate(self.estimate)
            for text in (found.label, found.device, found.estimated_on, *found.ddr_bytes):
                check_text(text)
            for text in (*found.options, *found.options.values()):
                check_text(text)
        return self


class BundleTailInput(Entry):
    """What the tail takes under one name."""

    name: Text
    """Its name in the tail."""
    dtype: Dtype
    """Its element type."""
    shape: Dimensions | None
    """None where it depends on the data."""
    source: Literal["output", "input"]
    """Whether it is an output of the package, or an input of the model."""


class BundleTail(Entry):
    """What the CPU runs behind the package, of a model that was cut."""

    model: BundlePath
    """The ONNX model."""
    inputs: Annotated[tuple[BundleTailInput, ...], BeforeValidator(as_tuple)]
    """What it takes, in order."""
    outputs: Annotated[tuple[Text, ...], BeforeValidator(as_tuple)]
    """The model's own outputs; those that the tail does not compute are outputs of the package."""


class BundleProvenance(Entry):
    """What made the bundle; without times, so that the same input gives the same bytes."""

    snapq: Text
    """Its version."""
    versions: dict[Text, Text]
    """Versions of libraries."""
    source_sha256: Sha256
    """Of the model that the package stage started from."""


class Manifest(Entry):
    """The whole of `manifest.json`."""

    schema_version: Literal[
        "snapq.bundle/1", "snapq.bundle/2", "snapq.bundle/3", "snapq.bundle/4", "snapq.bundle/5"
    ] = SCHEMA
    """Which form the bundle has, see above."""
    precision: Text
    """`fp16`, or weights and activations such as `w8a8`."""
    batch: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] = 1
    """How many samples a call takes, one behind the other along the first axis of every input and
    output, whose shapes are of the call; 2 and more only in version 5."""
    inputs: Annotated[tuple[BundleInput, ...], BeforeValidator(as_tuple)]
    """What the package takes, in order."""
    outputs: Annotated[tuple[BundleOutput, ...], BeforeValidator(as_tuple)]
    """What the package gives, in order."""
    model: BundlePath
    """The portable model, for the CPU or for compiling on the device."""
    encodings: BundlePath | None
    """The file with the encoding of each tensor; null of float models."""
    helper: BundlePath
    """The helper in Python."""
    devices: Annotated[
        tuple[BundleDevice, ...],
        BeforeValidator(as_tuple),
        Field(validation_alias=AliasChoices("devices", "targets")),
    ]
    """What is compiled, a part for each device; called `targets` in bundles of former versions."""
    golden_samples: Annotated[int, Field(ge=0, le=100_000)]
    """How many calls `golden/` has, of `batch` samples each."""
    random_inputs: bool
    """Whether calibration or golden data are random numbers."""
    extra: dict[Text, BundlePath]
    """Further artefacts by kind: `dlc`, `multi_soc`."""
    provenance: BundleProvenance
    """What made the bundle."""
    tail: BundleTail | None = None
    """Only in version 2, where it must be, and in versions 4 and 5."""
    host: BundleHost | None = None
    """Only in version 3, where it must be."""
    packages: Annotated[tuple[BundlePackage, ...], BeforeValidator(as_tuple)] = ()
    """Of devices that have a model of their own; only in version 4, where there must be some, and
    in version 5."""
    files: Annotated[tuple[BundleFile, ...], BeforeValidator(as_tuple), Field(max_length=MAX_FILES)]
    """Every file but the manifest."""
    checksum: Sha256 | None = None
    """Over all of the above; only manifests of former versions have none."""

    @model_validator(mode="after")
    def _every_path_is_listed(self) -> Manifest:
        for tensors in (self.inputs, self.outputs):
            if len({item.name for item in tensors}) != len(tensors):
                raise ValueError("an input or output is listed twice")
        listed = [file.path for file in self.files]
        if len(set(listed)) != len(listed):
            raise ValueError("a file is listed twice")
        named = {self.model, self.helper, *self.extra.values()}
        named |= {self.encodings} if self.encodings else set()
        named |= {self.tail.model} if self.tail else set()
        if self.host is not None:
            models = (self.host.cpu, self.host.head_model, self.host.tail_model)
            named |= {self.host.arrays, *filter(None, models)}
        for entry in self.devices:
            named |= {entry.model, *entry.files, *(binary.path for binary in entry.binaries)}
        missing = sorted(named - set(listed))
        if missing:
            raise ValueError(f"{missing[0]} is used and not listed in files")
        return self

    @model_validator(mode="after")
    def _the_tail_fits(self) -> Manifest:
        may = (WITH_TAIL,) if self.tail is not None else (SCHEMA, WITH_HOST)
        if self.schema_version not in (*may, WITH_PACKAGES, WITH_BATCH):
            raise ValueError("tail and schema_version contradict each other")
        if self.tail is None:
            return self
        given = {item.name for item in self.outputs}
        for item in self.tail.inputs:
            if item.source == "output" and item.name not in given:
                raise ValueError("the tail takes an output that the package does not give")
        for names in ([item.name for item in self.tail.inputs], self.tail.outputs):
            if len(set(names)) != len(names):
                raise ValueError("an input or output of the tail is listed twice")
        return self

    @model_validator(mode="after")
    def _the_host_fits(self) -> Manifest:
        if (self.host is not None) != (self.schema_version == WITH_HOST):
            raise ValueError("host and schema_version contradict each other")
        if self.host is None:
            return self
        if set(self.host.head.outputs) != {item.name for item in self.inputs}:
            raise ValueError("the head does not give what the package takes")
        given = {item.name for item in self.outputs} | {one.name for one in self.host.inputs}
        if not set(self.host.tail.inputs) <= given:
            raise ValueError("the tail takes what the package does not give")
        return self

    @model_validator(mode="after")
    def _the_batch_fits(self) -> Manifest:
        if (self.batch > 1) != (self.schema_version == WITH_BATCH):
            raise ValueError("batch and schema_version contradict each other")
        for item in (*self.inputs, *self.outputs):
            shapes = (item.shape, item.model.shape)
            if self.batch > 1 and any(not s or s[0] % self.batch for s in shapes):
                raise ValueError(f"'{item.name}' has no axis of {self.batch} samples in front")
        return self

    @model_validator(mode="after")
    def _packages_fit(self) -> Manifest:
        may = (WITH_PACKAGES, WITH_BATCH) if self.packages else (*SCHEMAS[:3], WITH_BATCH)
        if self.schema_version not in may:
            raise ValueError("packages and schema_version contradict each other")
        paths = [package.path for package in self.packages]
        names = [entry.device for entry in self.devices]
        names += [name for package in self.packages for name in package.devices]
        if len(set(paths)) != len(paths) or (paths and len(set(names)) != len(names)):
            raise ValueError("a device or a package is listed twice")
        return self
