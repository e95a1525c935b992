"""Feeds and reads a snapq bundle. One file, needs numpy only; copy it where the bundle goes.

    import snapq_io
    package = snapq_io.load("bundle")
    session = package.open_session("cpu")              # or your own onnxruntime session
    frame = package.preprocess(picture)                # picture: uint8 [height, width, 3], RGB
    outputs = session.run(None, package.feeds({"input": frame}))
    values = package.read(outputs)                     # {"logits": float32 array, ...}

Of a package whose calls take several samples (`package.batch`), up to so many go into a call:

    outputs = session.run(None, package.feeds({"input": [frame, another, third]}))
    for values in package.samples(outputs, 3): ...           # {"logits": float32 array}, one each

Where devices have packages of their own (`packages` in the manifest), name the one that this runs
on: `snapq_io.load("bundle", "qcs6490")`.

Of a model that was cut, what lies behind the cut is in `tail.onnx`, for the CPU (onnxruntime):

    results = package.run_tail(values, {"input": frame})     # {"boxes": ..., "scores": ...}

Of a tree ensemble, SVM or linear model, one call answers rows, however many, with NumPy alone
around the session:

    answers = package.predict(rows, session)                 # {"label": ..., "probabilities": ...}

and `package.encode(rows)`, `package.decode(values, rows)` are its two halves for one batch. They
need the folder `snapq_program` beside this file.

`preprocess` resizes and crops as the model was trained (the arithmetic of Pillow 13) and does not
normalize; a camera that gives the right size skips it. Runs on Python 3.9 or later.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]
    _Size = tuple[int, int]

SCHEMA = "snapq.bundle/1"
WITH_TAIL = "snapq.bundle/2"
WITH_HOST = "snapq.bundle/3"
WITH_PACKAGES = "snapq.bundle/4"
WITH_BATCH = "snapq.bundle/5"
_SCHEMAS = (SCHEMA, WITH_TAIL, WITH_HOST, WITH_PACKAGES, WITH_BATCH)
_FIXED_POINT_BITS = 22


class Package:
    """A bundle's inputs and outputs.

    Attributes:
        folder: the bundle.
        manifest: what is in it, as read from `manifest.json`.
        inputs: description of each input by name: dtype, shape, layout, encoding.
        outputs: description of each output by name.
        batch: how many samples a call takes, along the first axis; shapes are of the call.
        tail: what runs on the CPU behind the package, of a model that was cut; else None.
        host: what the CPU computes around the package, of a classical model; else None.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self.inputs: dict[str, dict[str, Any]] = {i["name"]: i for i in manifest["inputs"]}
        self.outputs: dict[str, dict[str, Any]] = {o["name"]: o for o in manifest["outputs"]}
        self.batch: int = manifest.get("batch", 1)
        self.tail: dict[str, Any] | None = manifest.get("tail")
        self._tail_session: Any = None
        self.host: dict[str, Any] | None = manifest.get("host")
        self._programs: Any = None

    def preprocess(self, picture: Array, name: str | None = None, color: str = "rgb") -> Array:
        """Makes the frame that an image input takes from a picture of any size.

        Args:
            picture: uint8 [height, width, channels] or [height, width].
            name: the image input; may be left out where there is one only.
            color: order of the picture's channels, `rgb` or `bgr` (as OpenCV gives them).

        Returns:
            uint8 [1, height, width, channels] in the model's own order of channels.
        """
        image = self._image_input(name)["image"]
        pixels = np.asarray(picture)
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
            raise ValueError("picture must be uint8 [height, width] or [height, width, channels]")
        if pixels.ndim == 2:
            pixels = pixels[:, :, None]
        pixels = _convert_color(pixels, color, image["color"])
        return np.ascontiguousarray(_placed(pixels, image)[None])

    def to_picture(self, boxes: Array, picture: Array, name: str | None = None) -> Array:
        """Boxes in pixels of the model's input as boxes in pixels of the picture.

        Args:
            boxes: [N, 4 or more]; the first four numbers are x1, y1, x2, y2, the rest is kept.
            picture: the picture, or an array of its height and width, that `preprocess` took.
            name: the image input; may be left out where there is one only.

        Returns:
            float array of the shape of `boxes`; boxes may reach beyond the picture.
        """
        image = self._image_input(name)["image"]
        rows, columns = np.asarray(picture).shape[:2]
        size, left_out = _fitted(rows, columns, image)
        offset = np.array([left_out[1], left_out[0]] * 2, dtype=np.float64)
        scale = np.array([size[1] / columns, size[0] / rows] * 2)
        result = np.array(boxes, dtype=np.float64)
        result[:, :4] = (result[:, :4] - offset) / scale
        return result

    def feeds(self, values: dict[str, Any]) -> dict[str, Array]:
        """Turns what the caller has into what the package takes.

        Args:
            values: by input name: a uint8 frame [1, height, width, channels] (or without the
                first axis) for an image input; for others, and for image inputs too, what the
                float model takes, in its own layout. What only the tail takes may be among them.
                Where a call takes several samples, a list or an array of up to so many; the last
                one fills up the call.

        Returns:
            Arrays of the package's types, shapes and layouts.
        """
        unknown = sorted(set(values) - set(self.inputs) - self._only_tail())
        missing = sorted(set(self.inputs) - set(values))
        if unknown or missing:
            raise ValueError(f"inputs: unknown {unknown}, missing {missing}")
        if self.batch > 1:
            values = _gathered(self.inputs, values, self.batch)
        return {name: _feed(item, np.asarray(values[name])) for name, item in self.inputs.items()}

    def read(self, outputs: Any, count: int | None = None) -> dict[str, Array]:
        """Turns what the package gives into what the float model gives.

        Args:
            outputs: arrays by output name, or a list in the package's order, as `session.run`
                gives it.
            count: of a call of several samples, how many of them to give back; all where not given.
        """
        if not isinstance(outputs, dict):
            outputs = dict(zip(self.outputs, outputs))  # noqa: B905 (Python 3.9 has no strict)
        found = {name: _read(item, outputs[name]) for name, item in self.outputs.items()}
        if count is None:
            return found
        if not 1 <= count <= self.batch:
            raise ValueError(f"a call takes 1 to {self.batch} samples, not {count}")
        return {name: value[: len(value) // self.batch * count] for name, value in found.items()}

    def samples(self, outputs: Any, count: int | None = None) -> list[dict[str, Array]]:
        """What the float model gives, as `read`, sample by sample.

        Args:
            outputs: as `read` takes them.
            count: how many samples were fed; those that filled up the call are left out.
        """
        count = self.batch if count is None else count
        found = self.read(outputs, count)
        parts = {name: np.split(value, count) for name, value in found.items()}
        return [{name: part[number] for name, part in parts.items()} for number in range(count)]

    def run_tail(self, values: dict[str, Array], inputs: Any = None) -> dict[str, Array]:
        """Computes the model's own outputs from what the package gave, on the CPU.

        Args:
            values: what `read` returned; where a call takes several samples, one of `samples`.
            inputs: what `feeds` was given, where the tail reads inputs of the model too
                (`tail["inputs"]` with `source` "input"); frames are normalized as the model wants.

        Returns:
            By name the outputs of the model as it was before it was cut; of a model that was not
            cut, `values`.
        """
        if self.tail is None:
            return values
        session = self.open_tail()
        feeds = {}
        given: dict[str, dict[str, Any]] = {"output": values, "input": inputs or {}}
        for item in self.tail["inputs"]:
            name, known = item["name"], given[item["source"]]
            if name not in known:
                raise ValueError(f"the tail takes {name!r}, which is not given")
            value = np.asarray(known[name])
            if item["source"] == "input" and name in self.inputs:
                value = _model_value(self.inputs[name], value)
            if item["shape"] is not None and list(value.shape) != list(item["shape"]):
                shape, wanted = list(value.shape), list(item["shape"])
                raise ValueError(f"{name}: shape {shape}, the tail takes {wanted}")
            feeds[name] = np.ascontiguousarray(value, dtype=item["dtype"])
        names = [output.name for output in session.get_outputs()]
        found = dict(zip(names, session.run(names, feeds)))  # noqa: B905
        return {
            name: found[name] if name in found else values[name] for name in self.tail["outputs"]
        }

    def open_tail(self) -> Any:
        """The onnxruntime session of the tail on the CPU, opened at the first call and kept."""
        if self.tail is None:
            raise ValueError("this bundle has no tail: its model was not cut")
        if self._tail_session is None:
            os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
            import onnxruntime

            path = str(self.folder / str(self.tail["model"]))
            self._tail_session = onnxruntime.InferenceSession(
                path, providers=["CPUExecutionProvider"]
            )
        return self._tail_session

    def encode(self, rows: Any) -> dict[str, Array]:
        """Turns rows of a table into what `feeds` takes, of a classical model.

        Args:
            rows: [rows, columns], or one such array by input name. They may be fewer than the
                package takes at once: then the last one is repeated.

        Returns:
            Arrays for `feeds`, by name.
        """
        return dict(self._program("head").run(self._batch(self._rows(rows))))

    def decode(self, values: dict[str, Array], rows: Any) -> dict[str, Array]:
        """Turns what `read` returned into the answers of a classical model.

        Args:
            values: what `read` returned.
            rows: what `encode` was given; so many answers are returned.
        """
        given = self._rows(rows)
        count = len(next(iter(given.values())))
        missing = sorted(set(self.outputs) - set(values))
        if missing:
            raise ValueError(f"the values of {missing} are missing: give what `read` returned")
        found = self._program("tail").run({**self._batch(given), **values})
        return {name: np.asarray(value)[:count] for name, value in found.items()}

    def predict(self, rows: Any, session: Any) -> dict[str, Array]:
        """The answers of a classical model to any number of rows, as its own outputs by name.

        Args:
            rows: [rows, columns], or one such array by input name.
            session: an onnxruntime session of the package, such as `open_session` gives.
        """
        given = self._rows(rows)
        count, size = len(next(iter(given.values()))), self._host()["rows"]
        parts = []
        for start in range(0, max(count, 1), size):
            part = {name: value[start : start + size] for name, value in given.items()}
            outputs = session.run(list(self.outputs), self.feeds(self.encode(part)))
            parts.append(self.decode(self.read(outputs), part))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _host(self) -> dict[str, Any]:
        if self.host is None:
            raise ValueError("this bundle is of a network: it has `feeds` and `read`")
        return self.host

    def _rows(self, rows: Any) -> dict[str, Array]:
        """Rows by input name, of the model's types."""
        inputs = self._host()["inputs"]
        if not isinstance(rows, dict):
            if len(inputs) != 1:
                names = [item["name"] for item in inputs]
                raise ValueError(f"name the rows of each input: {names}")
            rows = {inputs[0]["name"]: rows}
        found = {}
        unknown = sorted(set(rows) - {item["name"] for item in inputs})
        if unknown:
            raise ValueError(f"the model has no inputs {unknown}")
        for item in inputs:
            if item["name"] not in rows:
                raise ValueError(f"there are no rows for {item['name']!r}")
            value = _numbered(np.asarray(rows[item["name"]]), item.get("texts") or [])
            value = np.asarray(value, dtype=item["dtype"])
            if value.ndim != 2 or value.shape[1] != item["columns"] or not len(value):
                wanted, shape = item["columns"], list(value.shape)
                raise ValueError(f"{item['name']}: shape {shape}, the model takes [rows, {wanted}]")
            found[item["name"]] = value
        if len({len(value) for value in found.values()}) > 1:
            raise ValueError("the inputs have different numbers of rows")
        return found

    def _batch(self, rows: dict[str, Array]) -> dict[str, Array]:
        """As many rows as the package takes at once: the last one is repeated."""
        size = self._host()["rows"]
        count = len(next(iter(rows.values())))
        if count > size:
            raise ValueError(f"the package takes {size} rows at once, and there are {count}")
        index = np.minimum(np.arange(size), count - 1)
        return {name: value[index] for name, value in rows.items()}

    def _program(self, part: str) -> Any:
        """Head or tail, read at the first call and kept."""
        host = self._host()
        if self._programs is None:
            kind = _program_class()
            with np.load(str(self.folder / host["arrays"]), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            self._programs = {name: kind.from_json(host[name], arrays) for name in ("head", "tail")}
        return self._programs[part]

    def _only_tail(self) -> set[str]:
        taken = self.tail["inputs"] if self.tail is not None else ()
        return {item["name"] for item in taken if item["source"] == "input"} - set(self.inputs)

    def model_path(self, device: str | None = None) -> Path:
        """Path of the portable model, or of the one compiled for a device (`qcs9075`)."""
        if device is None:
            return self.folder / str(self.manifest["model"])
        for entry in self.manifest["devices"]:
            if entry["device"] == device:
                return self.folder / str(entry["model"])
        names = [entry["device"] for entry in self.manifest["devices"]]
        if any(device in package["devices"] for package in self.manifest.get("packages", ())):
            raise ValueError(
                f"{device} has a package of its own: load({str(self.folder)!r}, {device!r})"
            )
        raise ValueError(f"not compiled for {device}; compiled for {names}")

    def open_session(self, device: str) -> Any:
        """Opens an onnxruntime session: `cpu`, or on the NPU of the device that this runs on.

        Nothing falls back: a package that cannot run on the NPU raises.
        """
        path = str(self.model_path(None if device == "cpu" else device))
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        if device == "cpu":
            return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        import onnxruntime_qnn

        name = "QNNExecutionProvider"
        if not any(one.ep_name == name for one in onnxruntime.get_ep_devices()):
            # Once a process: a second registration raises.
            library = onnxruntime_qnn.get_library_path()
            onnxruntime.register_execution_provider_library(name, library)
        found = [one for one in onnxruntime.get_ep_devices() if one.ep_name == name]
        npu = [one for one in found if one.device.type == onnxruntime.OrtHardwareDeviceType.NPU]
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        entry = next(t for t in self.manifest["devices"] if t["device"] == device)
        provider = {
            key: value
            for key, value in entry["options"].items()
            if key in ("backend_type", "soc_model", "enable_htp_fp16_precision")
        }
        options.add_provider_for_devices((npu or found)[:1], provider)
        # Else a failed run is tried on the CPU, whose error hides the NPU's.
        return onnxruntime.InferenceSession(path, options, enable_fallback=0)

    def _image_input(self, name: str | None) -> dict[str, Any]:
        names = [key for key, item in self.inputs.items() if item["image"] is not None]
        if name is None and len(names) == 1:
            name = names[0]
        if name not in names:
            raise ValueError(f"name one of the image inputs: {names}")
        return self.inputs[name]


def load(folder: str | Path, device: str | None = None) -> Package:
    """Reads the manifest of a bundle.

    Args:
        folder: the bundle.
        device: the device that the package is for (`qcs9075`), where devices have packages of their
            own; without it, the package of the first.
    """
    manifest = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))
    if manifest.get("schema_version") not in _SCHEMAS:
        known = f"{', '.join(_SCHEMAS[:-1])} or {_SCHEMAS[-1]}"
        raise ValueError(f"{folder} is not a bundle of schema {known}")
    for package in manifest.get("packages", ()):
        if device in package["devices"]:
            return load(Path(folder) / str(package["path"]))
    return Package(Path(folder), manifest)


def _program_class() -> Any:
    """`Program` of the folder `snapq_program` that lies beside this file."""
    name = "snapq_program"
    if name not in sys.modules:
        place = Path(__file__).with_name(name)
        spec = importlib.util.spec_from_file_location(
            name, place / "__init__.py", submodule_search_locations=[str(place)]
        )
        if spec is None or spec.loader is None or not place.is_dir():
            raise ValueError(f"the folder {name} does not lie beside {Path(__file__).name}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name].Program


def _gathered(inputs: dict[str, Any], values: dict[str, Any], batch: int) -> dict[str, Array]:
    """Samples of each input one behind the other; the last one fills up the call."""
    found, counts = {}, {}
    for name, item in inputs.items():
        rank = len(item["model"]["shape"])
        given = values[name]
        parts = [
            np.asarray(one) for one in (given if isinstance(given, (list, tuple)) else [given])
        ]
        parts = [part[None] if part.ndim == rank - 1 else part for part in parts]
        array = np.concatenate(parts) if parts else np.empty(0)
        if not 1 <= len(array) <= batch:
            raise ValueError(f"{name}: a call takes 1 to {batch} samples, not {len(array)}")
        counts[name] = len(array)
        found[name] = array[np.minimum(np.arange(batch), len(array) - 1)]
    if len(set(counts.values())) > 1:
        raise ValueError(f"the inputs have different numbers of samples: {counts}")
    return found


def _is_frame(item: dict[str, Any], value: Array) -> bool:
    is_image = item["image"] is not None
    return is_image and value.dtype == np.uint8 and item["model"]["dtype"] != "uint8"


def _model_value(item: dict[str, Any], value: Array) -> Array:
    """What the float model takes: a frame is normalized."""
    if not _is_frame(item, value):
        return value
    mean = np.asarray(item["image"]["mean"], np.float32)
    std = np.asarray(item["image"]["std"], np.float32)
    return _to_model_layout(item, (value.astype(np.float32) - mean) / std)


def _feed(item: dict[str, Any], value: Array) -> Array:
    image = item["image"]
    if _is_frame(item, value):
        if item["raw"]:
            return _frame(item, value)
        value = _model_value(item, value)
    elif item["folded"]:
        # The float model's own input: undo what the graph does again.
        encoding, axis = item["encoding"], item["channel_axis"]
        shape = [1] * len(item["model"]["shape"])
        shape[axis] = -1
        mean = np.asarray(image["mean"]).reshape(shape)
        std = np.asarray(image["std"]).reshape(shape)
        value = (value * std + mean - encoding["zero_point"]) * encoding["scale"]
    if item["permutation"] is not None:
        value = np.transpose(value, np.argsort(item["permutation"]))
    if item["encoding"] is not None:
        value = _quantize(value, item)
    # `ascontiguousarray` would make a vector of a scalar.
    return _checked(item, np.asarray(value, dtype=item["dtype"], order="C"))


def _frame(item: dict[str, Any], frame: Array) -> Array:
    """A frame, channels last, in the package's layout."""
    last = item["channel_axis"] == len(item["model"]["shape"]) - 1
    if item["permutation"] is None and not last:
        frame = np.moveaxis(frame, -1, frame.ndim - 3)
    if frame.ndim == len(item["shape"]) - 1:
        frame = frame[None]
    return _checked(item, np.ascontiguousarray(frame))


def _to_model_layout(item: dict[str, Any], frame: Array) -> Array:
    rank = len(item["model"]["shape"])
    if frame.ndim == rank - 1:
        frame = frame[None]
    return frame if item["channel_axis"] == rank - 1 else np.moveaxis(frame, -1, -3)


def _checked(item: dict[str, Any], value: Array) -> Array:
    if list(value.shape) != list(item["shape"]):
        wanted, found = list(item["shape"]), list(value.shape)
        raise ValueError(f"{item['name']}: shape {found}, the package takes {wanted}")
    return value


def _quantize(value: Array, item: dict[str, Any]) -> Array:
    encoding, limits = item["encoding"], np.iinfo(item["dtype"])
    codes = np.rint(np.float32(value) / np.float32(encoding["scale"])) + encoding["zero_point"]
    clipped: Array = np.clip(codes, limits.min, limits.max)
    return clipped


def _read(item: dict[str, Any], value: Array) -> Array:
    encoding = item["encoding"]
    if encoding is not None:
        steps = value.astype(np.int64) - encoding["zero_point"]
        value = steps.astype(np.float32) * np.float32(encoding["scale"])
    if item["permutation"] is not None:
        value = np.transpose(value, item["permutation"])
    return np.asarray(value, order="C")


def _convert_color(pixels: Array, given: str, wanted: str) -> Array:
    if wanted == "gray":
        if pixels.shape[2] == 1:
            return pixels
        red, green, blue = (0, 1, 2) if given == "rgb" else (2, 1, 0)
        wide = pixels.astype(np.uint32)
        luma = wide[..., red] * 19595 + wide[..., green] * 38470 + wide[..., blue] * 7471
        return ((luma + 0x8000) >> 16).astype(np.uint8)[:, :, None]
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    pixels = pixels[:, :, :3]
    return pixels if given == wanted else pixels[:, :, ::-1]


def _placed(pixels: Array, image: dict[str, Any]) -> Array:
    """The picture in the size that the input takes."""
    size, (top, left) = _fitted(pixels.shape[0], pixels.shape[1], image)
    pixels = _resize(pixels, size, image["resample"])
    box = image.get("letterbox")
    if box is not None:
        height, width = _two(box)
        frame = np.empty((height, width, pixels.shape[2]), np.uint8)
        frame[:] = image["fill"]
        frame[top : top + size[0], left : left + size[1]] = pixels
        return frame
    if image["crop"] is None:
        return pixels
    height, width = _two(image["crop"])
    return pixels[-top : height - top, -left : width - left]


def _numbered(rows: Array, texts: list[str]) -> Array:
    """Texts as their places in the list of those that the model knows, -1 for any other."""
    if not texts or rows.dtype.kind not in "UO":
        return rows
    places = {text: place for place, text in enumerate(texts)}
    found = [places.get(str(one), -1) for one in rows.reshape(-1)]
    return np.asarray(found, np.int64).reshape(rows.shape)


def _fitted(rows: int, columns: int, image: dict[str, Any]) -> tuple[_Size, _Size]:
    """Height and width of a resized picture, and where its corner lies in the input (y, x)."""
    centred = image.get("align", "center") == "center"
    if image.get("letterbox") is not None:
        box = _two(image["letterbox"])
        scale = min(box[1] / columns, box[0] / rows)
        size = (max(round(rows * scale), 1), max(round(columns * scale), 1))
        rest = ((box[0] - size[0]) // 2, (box[1] - size[1]) // 2)
        return size, rest if centred else (0, 0)
    size = _resized(rows, columns, image["resize"])
    if image["crop"] is None:
        return size, (0, 0)
    crop = _two(image["crop"])
    if crop[0] > size[0] or crop[1] > size[1]:
        raise ValueError(f"the picture is {size}, smaller than the crop {crop}")
    middle = (-round((size[0] - crop[0]) / 2), -round((size[1] - crop[1]) / 2))
    return size, middle if centred else (0, 0)


def _two(size: Any) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _resized(rows: int, columns: int, resize: Any) -> tuple[int, int]:
    """Height and width after `resize`."""
    if resize is None:
        return rows, columns
    if not isinstance(resize, int):
        return resize[0], resize[1]
    if columns <= rows:
        return max(resize * rows // columns, resize), resize
    return resize, max(resize * columns // rows, resize)


def _resize(pixels: Array, size: tuple[int, int], resample: str) -> Array:
    rows, columns = pixels.shape[:2]
    height, width = size
    if (height, width) == (rows, columns):
        return pixels
    if resample == "nearest":
        return pixels[_nearest(rows, height)][:, _nearest(columns, width)]
    # Each pass rounds to 8 bits, so their order shows; Pillow 13 starts with the rows where these
    # shrink much more.
    rows_first = height < rows and rows - height > 2 * (columns - width)
    for axis in (0, 1) if rows_first else (1, 0):
        if size[axis] != pixels.shape[axis]:
            pixels = _filter(pixels, size[axis], axis, resample)
    return pixels


def _nearest(length: int, size: int) -> Array:
    """Which pixel each new one is; positions are added up one after the other, as Pillow does."""
    steps = np.full(size, length / size)
    steps[0] /= 2
    indices: Array = np.minimum(np.cumsum(steps).astype(int), length - 1)
    return indices


def _filter(pixels: Array, size: int, axis: int, resample: str) -> Array:
    """Resamples one axis as Pillow does: weights in fixed point, rounded to 8 bits."""
    length = pixels.shape[axis]
    step = length / size
    stretch = max(step, 1.0)
    support = {"bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}[resample] * stretch
    centre = (np.arange(size) + 0.5) * step
    first = np.maximum((centre - support + 0.5).astype(int), 0)
    last = np.minimum((centre + support + 0.5).astype(int), length)
    taps = np.arange(int((last - first).max()))
    position = first[:, None] + taps
    weights = _kernel((position - centre[:, None] + 0.5) / stretch, resample)
    weights = np.where(position < last[:, None], weights, 0.0)
    weights = weights / weights.sum(axis=1, keepdims=True) * (1 << _FIXED_POINT_BITS)
    fixed = np.trunc(weights + np.where(weights < 0, -0.5, 0.5)).astype(np.int64)
    source = np.moveaxis(pixels, axis, 0).astype(np.int64)
    total = np.full((size, *source.shape[1:]), 1 << (_FIXED_POINT_BITS - 1), dtype=np.int64)
    for tap in taps:
        index = np.minimum(position[:, tap], length - 1)
        total += source[index] * fixed[:, tap].reshape(-1, *[1] * (source.ndim - 1))
    values = np.clip(total >> _FIXED_POINT_BITS, 0, 255).astype(np.uint8)
    return np.moveaxis(values, 0, axis)


def _kernel(offsets: Array, resample: str) -> Array:
    x = np.abs(offsets)
    values: Array
    if resample == "bilinear":
        values = np.maximum(1 - x, 0)
    elif resample == "lanczos":
        values = np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0)
    else:
        near = (1.5 * x - 2.5) * x * x + 1
        far = ((-0.5 * x + 2.5) * x - 4) * x + 2
        values = np.where(x < 1, near, np.where(x < 2, far, 0))
    return values
