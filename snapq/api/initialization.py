"""`snapq init`: the text of a first deploy.yaml for a model, which runs as it is.

What cannot be known from the model is chosen, and a comment beside it says so: sizes of dynamic
dimensions, random calibration inputs, and the device where none is named.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.language_initialization import language_text, pair_of
from snapq.api.public import public
from snapq.api.shared import refuse_existing, renamed_argument
from snapq.api.yaml_text import near_path, run_name, yaml_scalar, yaml_value
from snapq.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from snapq.api.suggest_sizes import SuggestedInput

_NONE_RUNS = "the model ran at none of the usual sizes; give those that it was exported with"
PLACEHOLDER_DEVICE = "qcs9075"
"""Stands in where no device is named: it has an estimate of its own."""

_HEAD = """\
# What snapq does with this model. Start it: snapq run {file}
# Every key: snapq schema
name: {name}
"""
_DATA = """\
data:
  # CHANGE: random inputs show only that the model runs. Every result that rests on them is marked
  # and says nothing about accuracy. With real samples:
{real}
  calibration: {{random: true, samples: 8}}
metric: null  # such as {metrics} or module:function, once evaluation has labels (snapq schema)
"""
_SOME = "top1, f1, map, miou, mae,"
_IMAGES = """\
  # calibration:
  #   images: data/calibration  # a folder; 50 to 500 typical pictures are enough
  #   preprocess: &preprocess {{resize: [{height}, {width}], mean: 0, std: 255{color}}}
  # evaluation: {{images: data/validation, labels: data/validation.csv, preprocess: *preprocess}}"""
_ARRAYS = """\
  # calibration: {{arrays: data/calibration}}  # a folder of .npz files with {keys}
  # evaluation: {{arrays: data/validation, labels: data/validation.npy}}  # a label for each file"""
_TABLE = """
  # or a CSV with a sample a row: {table: data/train.csv, label: target}"""
_QUANTIZE = """\
  # The fastest mix of 8 and 16 bits and fp16 that is good enough. With labels: {max_drop: 0.01}
  - quantize: {precision: auto, goal: {min_sqnr_db: 30}}
"""
_END = """\
  - package: {}  # {labels: labels.txt} names the classes in the bundle, one a line
# benchmark: {target: ssh://root@192.168.1.20}  # measures latency on it (docs/how-to/boards.md)
gates: {}  # such as {npu_nodes: all, min_sqnr_db: 20}; one that fails ends the run with code 1
"""


@public
def init(
    model: str | Path,
    *,
    output: str | Path,
    device: str | Sequence[str] | None = None,
    force: bool = False,
    cut: bool = False,
    decode: str | Path | None = None,
    target: str | None = None,
) -> Path:
    """Writes a working deploy.yaml for a model and returns its path.

    Args:
        model: the ONNX model; of a language model the folder of its pair of graphs, or the first.
        output: the YAML file to write.
        device: what to deploy to, one or several; where not given, a placeholder that says so is
            written.
        force: whether `output` may exist.
        cut: cut the model where most of its work stays on the NPU, as `inspect` proposes.
        decode: of a language model the graph of one token, where `model` is the one of many.
        target: former name of `device`.

    Raises:
        ConfigError: `output` exists and `force` is not set.
        ModelError: the model cannot be read.
        DeviceError: the device is unknown.
    """
    from snapq.storage import write_text

    path = Path(output)
    refuse_existing(path, force)
    chosen = renamed_argument("device", device, "target", target)
    pair = pair_of(Path(model), Path(decode) if decode is not None else None)
    if pair is not None:
        text = _of_pair(pair, chosen, path, cut)
    else:
        text = initialize(Path(model), chosen, folder=path.parent, cut=cut, file=path.name)
    write_text(path, text)
    return path


def _of_pair(
    pair: tuple[Path, Path], device: str | Sequence[str] | None, path: Path, cut: bool
) -> str:
    """The text for a language model, whose graphs are those of a decoder."""
    from snapq.llm.pairs.taken import read_pair

    if cut:
        raise ConfigError(
            "A language model is a pair of graphs already, and not cut.",
            where="--cut",
            hint="Leave the option out.",
        )
    chosen = device_remark(device)
    read_pair(*pair)
    folder = pair[0].parent.absolute()
    return language_text(pair, run_name(folder.name), chosen, path.parent.absolute(), path.name)


def device_remark(device: str | Sequence[str] | None) -> tuple[str, str]:
    """Names of devices, or that of a placeholder, and the remark behind them."""
    from snapq.devices.profiles import find

    if not device:
        change = "CHANGE: the model's device; `snapq devices` lists all"
        return find(PLACEHOLDER_DEVICE).name, change
    names = (device,) if isinstance(device, str) else device
    found = tuple(dict.fromkeys(find(name) for name in names))
    return ", ".join(one.name for one in found), ", ".join(one.marketing for one in found)


def initialize(
    model: Path,
    device: str | Sequence[str] | None = None,
    *,
    folder: Path | None = None,
    cut: bool = False,
    file: str = "deploy.yaml",
) -> str:
    """Returns the text of a commented deploy.yaml for a model.

    Args:
        model: the ONNX model.
        device: names of the devices to deploy to; where None, a placeholder that says so is
            written.
        folder: folder in which the text will lie; the model's path is relative to it.
        cut: cut the model where most of its work stays on the NPU.
        file: name of the file that the text is for.

    Raises:
        ModelError: the model cannot be read, or no cut keeps work on the NPU.
        DeviceError: the device is unknown.
    """
    from snapq.api.classical_initialization import classical_text
    from snapq.api.suggest_sizes import suggest_inputs
    from snapq.graph import io
    from snapq.graph.classical import is_classical
    from snapq.graph.foreign import explaining

    names, remark = device_remark(device)
    graph = io.load(model)
    if is_classical(graph):
        if cut:
            raise ConfigError(
                "A tree ensemble, SVM or linear model is divided by itself, and not cut.",
                where="--cut",
                hint="Leave the option out.",
            )
        head = _HEAD.format(name=yaml_value(run_name(model.stem)), file=shlex.quote(file))
        devices = f"devices: [{names}]  # {remark}\n"
        where = (folder or Path()).absolute()
        return head + _model_path(model, where) + classical_text(graph, devices)
    with explaining(model):
        inputs = suggest_inputs(graph, model)
    quantized = any(node.op_type == "QuantizeLinear" for node in graph.graph)
    return (
        _HEAD.format(name=yaml_value(run_name(model.stem)), file=shlex.quote(file))
        + _model(model, inputs, (folder or Path()).absolute())
        + (_cut(model, inputs, names.partition(",")[0]) if cut else "")
        + f"devices: [{names}]  # {remark}\n"
        + _data(inputs)
        + "stages:\n"
        + ("  # The model is quantized already.\n" if quantized else _QUANTIZE)
        + _END
    )


def _model_path(model: Path, folder: Path) -> str:
    return f"model:\n  path: {near_path(model, folder)}\n"


def _model(model: Path, inputs: Sequence[SuggestedInput], folder: Path) -> str:
    lines = ["  inputs:"] if inputs else []
    for given in inputs:
        remark = ""
        if given.declared is None:
            remark = "  # CHANGE: the model declares no shape"
        elif given.guessed:
            what = "a guess where the model is dynamic" if given.runs else _NONE_RUNS
            remark = f"  # CHANGE: {what}: {', '.join(given.guessed)}"
        if given.single:
            remark = "  # a number in its place, such as 16000, fixes an input that never changes"
        lines.append(f"    {yaml_scalar(given.name)}: {list(given.shape)}{remark}")
    return _model_path(model, folder) + "".join(f"{line}\n" for line in lines)


def _cut(model: Path, inputs: Sequence[SuggestedInput], device: str) -> str:
    """The line that cuts the model, or one that says that there is no need to.

    Raises:
        ModelError: not all of it can run on the NPU, and no cut helps.
    """
    from snapq.api.inspection import inspect

    # Shapes that the file fixes need not be given, and scalars have none.
    shapes = {given.name: given.shape for given in inputs if given.guessed or not given.declared}
    found = inspect(model, device, inputs={name: s for name, s in shapes.items() if s})
    if found.cut is None:
        if any(not placement.cpu for placement in found.placements):
            return "  # Not cut: all of the model runs on the NPU.\n"
        raise ModelError(
            "No cut keeps any of the work on the NPU.",
            where=str(model),
            hint=f"`snapq inspect {model} --device {device}` says which nodes cannot run there.",
        )
    names = ", ".join(map(yaml_value, found.cut.outputs))
    return (
        f"  # {found.cut.percent} of the MACs stay on the NPU; the {found.cut.tail_nodes:,} nodes "
        f"behind are tail.onnx in the bundle, for the CPU.\n  outputs: [{names}]\n"
    )


def _data(inputs: Sequence[SuggestedInput]) -> str:
    axis = inputs[0].channels_axis if len(inputs) == 1 else None
    if axis is None:
        keys = " and ".join(f"`{given.name}`" for given in inputs)
        table = _TABLE if len(inputs) == 1 and len(inputs[0].shape) == 2 else ""
        return _DATA.format(real=_ARRAYS.format(keys=keys) + table, metrics=_SOME)
    sizes = list(inputs[0].shape[1:])
    color = ", color: gray" if sizes.pop(axis - 1) == 1 else ""
    real = _IMAGES.format(height=sizes[0], width=sizes[1], color=color)
    return _DATA.format(real=real, metrics=_SOME)
