"""The space of a search: what deploy.yaml marks, or what the model and its devices allow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import onnx_ir as ir

from snapq.config import PruneConfig, QuantizeConfig, SearchRange
from snapq.config.reading.json_schema import json_schema, part
from snapq.config.reading.overrides import key_parts
from snapq.config.schema.search import LAYERS as LAYERS_MARK
from snapq.config.schema.search import RESOLUTION
from snapq.errors import ConfigError
from snapq.graph import io
from snapq.npu.memory import Memory
from snapq.pipeline.available import available
from snapq.pipeline.cache import Cache
from snapq.pipeline.inputs import Setting
from snapq.pipeline.steps import walk
from snapq.precision import ActivationType, precision_name
from snapq.progress import Progress
from snapq.pruning import blocks, groups
from snapq.searching import resolution
from snapq.searching.sensitive import sensitive_groups
from snapq.searching.space import BLOCKS, IMPORTANCE, LAYERS, RATIO, Dimension, Space, width

_RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
"""Shares of the multiply-accumulates to remove."""
_AROUND = (0.7, 0.8, 0.9, 1.0, 1.15, 1.3)
"""What a goal of the file's own is multiplied by."""
_PRESETS = ("fast", "balanced")
"""`best` takes several times as long as all of the others' trials, and can be marked."""
_IMPORTANCES = ("activation", "second-order", "magnitude")
_WATCHED, _COMPARED = 16, 4
"""Samples that ranges are measured on, and that outputs are compared on, for sensitivity."""
_MOST_BLOCKS = 4


def base_of(values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The configuration that points are changes of, and what was added to the file's."""
    if any("package" in one for one in values["stages"]):
        return values, []
    packaged = {**values, "stages": [*values["stages"], {"package": {}}]}
    return packaged, ["Every point is packaged: its estimate is that of the compiled model."]


class Sensible:
    """Finds the space of a deployment.

    Args:
        setting: of the file as it is.
        base: its JSON values.
        cache: finished work.
        progress: progress reporter.
    """

    def __init__(
        self, setting: Setting, base: dict[str, Any], cache: Cache, progress: Progress
    ) -> None:
        self._setting, self.base = setting, base
        self._cache, self._progress = cache, progress
        self._notes: list[str] = []
        self._model: ir.Model | None = None
        self._groups: tuple[tuple[str, ...], ...] = ()
        self._removable: tuple[str, ...] = ()
        self._picture: resolution.Picture | None = None

    def find(self) -> Space:
        """The space.

        Raises:
            ConfigError: there is nothing to search, or a mark does not fit the model.
        """
        marks = self._setting.config.search
        found: list[Dimension] = []
        for key, mark in marks.items():
            if key == LAYERS_MARK:
                found += self._layers(_listed(mark), asked=True)
            elif key == RESOLUTION:
                found.append(self._asked_resolution(_listed(mark)))
            else:
                found.append(Dimension.of(key, self._located(key, mark)))
        if not marks:
            found = self._all()
        if not found:
            raise ConfigError(
                f"There is nothing to search. {' '.join(self._notes)}".strip(),
                where="search",
                hint="Mark keys, such as search: {stages.quantize.preset: [fast, balanced]}.",
            )
        quantize = self._quantize
        own = "w8a8" if quantize is None else _precision(quantize)
        return Space(
            tuple(found), self._groups, self._removable, self._picture, own, tuple(self._notes)
        )

    def _all(self) -> list[Dimension]:
        """What the model allows."""
        if self._setting.classical is not None or self._setting.quantized:
            kind = "classical" if self._setting.classical is not None else "quantized already"
            self._notes.append(f"The model is {kind}: mark in `search` what to vary.")
            return []
        return [*self._pruning(), *self._quantizing(), *self._resolutions()]

    def _located(self, key: str, mark: Any) -> Any:
        """The values of a key of paths as absolute ones."""
        parts: tuple[str | int, ...] = key_parts(key)
        if parts[0] == "stages":
            parts = ("stages", 0, *parts[2 if str(parts[1]).isdecimal() else 1 :])
        if part(json_schema(), parts).get("format") != "path":
            return mark
        folder = self._setting.config.folder
        return [None if one is None else os.path.normpath(folder / one) for one in mark]

    # -- pruning ---------------------------------------------------------------------------------

    def _pruning(self) -> list[Dimension]:
        """Blocks and channels to cut: around what the file has, or from nothing on."""
        named = [item.options for item in self._setting.config.stages]
        given = [one for one in named if isinstance(one, PruneConfig)]
        if len(given) > 1:
            self._notes.append("Pruning is not searched: the file prunes more than once.")
            return []
        if given:
            return self._around(given[0])
        model = self._prepared()
        if self._setting.calibration is None or not groups.find(model).groups:
            self._notes.append("Pruning is not searched: no channels of the model can be cut.")
            return []
        self._insert_prune()
        found = [
            Dimension(RATIO, (None, *_RATIOS)),
            Dimension(IMPORTANCE, _IMPORTANCES),
        ]
        self._removable = self._ranked_blocks(model)
        if self._removable:
            found.insert(0, Dimension(BLOCKS, tuple(range(len(self._removable) + 1))))
        return found

    def _around(self, options: PruneConfig) -> list[Dimension]:
        """The goals that the file has, and numbers around them."""
        found: list[Dimension] = []
        if options.blocks is not None:
            most = len(blocks.blocks(self._prepared()))
            values = (None, *range(1, min(options.blocks + 2, most) + 1))
            found.append(Dimension("stages.prune.blocks", values))
        if options.ratio is not None:
            near = sorted({round(min(options.ratio * one, 0.95), 4) for one in _AROUND})
            found.append(Dimension(RATIO, (None, *near)))
        target = options.target
        for name in ("estimate_us", "macs", "bytes"):
            goal = None if target is None else getattr(target, name)
            if goal is not None:
                near = sorted({round(goal * one, 1) for one in _AROUND})
                whole = tuple(round(one) for one in near)
                found.append(
                    Dimension(
                        f"stages.prune.target.{name}", whole if name != "estimate_us" else (*near,)
                    )
                )
        return found

    def _insert_prune(self) -> None:
        """Puts a prune stage that does nothing yet in front of what quantizes or packages."""
        stages = self.base["stages"]
        behind = ("cluster", "quantize", "finetune", "package")
        index = next(i for i, one in enumerate(stages) if set(one) & set(behind))
        self.base["stages"] = [*stages[:index], {"prune": {}}, *stages[index:]]

    def _ranked_blocks(self, model: ir.Model) -> tuple[str, ...]:
        """Residual blocks in the order in which they are missed least."""
        found = blocks.blocks(model)
        count = min(_MOST_BLOCKS, len(found) // 2)
        if not count:
            return ()

        def ranked() -> list[str]:
            samples = [sample.feeds for sample in islice(self._calibration, _COMPARED * 2)]
            with self._progress.track("Try blocks", blocks.trials(model, count)) as advance:
                _, dropped = blocks.shallower(model, count, samples, None, advance)
            return [one.name for one in dropped]

        return tuple(self._kept("residual blocks", {"count": count}, ranked))

    # -- quantization ----------------------------------------------------------------------------

    @property
    def _quantize(self) -> QuantizeConfig | None:
        options = (item.options for item in self._setting.config.stages)
        return next((one for one in options if isinstance(one, QuantizeConfig)), None)

    def _quantizing(self) -> list[Dimension]:
        """The preset, and the precision of groups of layers."""
        options = self._quantize
        if options is None:
            return []
        found = []
        if options.encodings is None and options.algorithms is None:
            own = options.preset.value
            values = _PRESETS if own in _PRESETS else (*_PRESETS, own)
            found.append(Dimension("stages.quantize.preset", values))
        return [*found, *self._layers(None, asked=False)]

    def _layers(self, asked_for: Sequence[str] | None, *, asked: bool) -> list[Dimension]:
        """How many groups of layers have each precision beside the stage's own.

        Raises:
            ConfigError: it is asked for and cannot be.
        """
        try:
            options = self._require_layers()
            own = _precision(options)
            devices = self._setting.devices
            able = [p for p in devices[0].precisions if all(p in d.precisions for d in devices)]
            wanted = list(asked_for) if asked_for is not None else _menu(own)
            lacking = [name for name in wanted if name not in able]
            if lacking and asked:
                names = ", ".join(device.name for device in devices)
                raise ConfigError(
                    f"Not all of {names} have {lacking[0]}.",
                    where="search.layers",
                    hint=f"They have {', '.join(able)}.",
                )
            others = [name for name in wanted if name in able and width(name) != width(own)]
            if not others:
                raise ConfigError(
                    f"The devices have no other precision than {own}.", where="search.layers"
                )
            parts = {"quantize": options.model_dump(mode="json"), "device": vars(devices[0])}
            found = self._kept("sensitive groups", parts, self._sensitive)
            self._groups = tuple(map(tuple, found))
        except ConfigError as error:
            if asked:
                raise
            self._notes.append(f"Layers are not searched: {error.what}")
            return []
        counts = tuple(range(len(self._groups) + 1))
        return [Dimension(f"{LAYERS}{name}", counts) for name in others]

    def _sensitive(self) -> tuple[tuple[str, ...], ...]:
        return sensitive_groups(
            self._prepared(),
            self._require_layers(),
            self._setting.devices[0],
            self._calibration,
            self._progress,
        )

    def _require_layers(self) -> QuantizeConfig:
        """The options of the quantize stage. Raises `ConfigError` where layers have no choice."""
        options, what = self._quantize, None
        if options is None or self._setting.classical is not None:
            what = "There is no quantize stage of a network."
        elif options.budget is not None:
            what = "The quantize stage chooses the precision of layers itself."
        elif options.encodings is not None or options.overrides:
            what = "The file gives the precision of layers itself."
        elif options.activations is ActivationType.FLOAT16:
            what = "The quantize stage leaves layers in float."
        elif self._setting.calibration is None:
            what = "There are no calibration samples."
        if what is not None:
            raise ConfigError(
                what, where="search.layers", hint="Leave `layers` out of `search`, or change that."
            )
        assert options is not None
        return options

    # -- resolution ------------------------------------------------------------------------------

    def _asked_resolution(self, sizes: Sequence[Any]) -> Dimension:
        """Raises `ConfigError` where the model does not take pictures of these sizes."""
        config = self._setting.config
        picture, why = resolution.picture_of(config, self._setting.inputs, self.base)
        wrong = (
            None
            if picture is None
            else next((one for one in sizes if not resolution.takes(config, picture, one)), None)
        )
        if picture is None or wrong is not None:
            raise ConfigError(
                f"The resolution cannot be searched: {why}."
                if picture is None
                else f"The model does not compute the same outputs of pictures of {wrong}.",
                where="search.resolution",
                hint="Leave it out of `search`, or name other sizes.",
            )
        self._picture = picture
        return Dimension(RESOLUTION, tuple(sizes))

    def _resolutions(self) -> list[Dimension]:
        config = self._setting.config
        picture, why = resolution.picture_of(config, self._setting.inputs, self.base)
        found = () if picture is None else resolution.sizes(config, picture)
        if not found:
            why = why or "the model takes no other size"
            self._notes.append(f"The resolution is not searched: {why}.")
            return []
        self._picture = picture
        return [Dimension(RESOLUTION, found)]

    # -- the model -------------------------------------------------------------------------------

    def _kept(self, kind: str, parts: Mapping[str, object], make: Callable[[], Any]) -> Any:
        """What an earlier search found of the same model and samples, or what is found now."""
        data = self._setting.calibration
        assert data is not None
        rests_on = {"model": io.digest(self._prepared()), "calibration": data.fingerprint()}
        # States that samples begin with come from the model as given, which is not among these.
        memory = Memory(None if data.state else self._cache)
        return memory.recall(kind, {**parts, **rests_on}, make, list)

    @property
    def _calibration(self) -> Iterable[Any]:
        data = self._setting.calibration
        assert data is not None
        return data

    def _prepared(self) -> ir.Model:
        """The model as the stages behind `prepare` get it."""
        if self._model is None:
            setting = self._setting
            names = [item.name for item in setting.config.stages if item.name != "prepare"]
            branch, *_ = walk(
                setting, available(setting), self._cache, self._progress, stop_at=names[0]
            )
            self._model = io.load(Path(branch.finished[-1].artifact.model))
        return self._model


def _listed(mark: SearchRange | Sequence[Any]) -> list[Any]:
    """The values of a mark that the reader takes as a list only."""
    return [] if isinstance(mark, SearchRange) else list(mark)


def _precision(options: QuantizeConfig) -> str:
    return precision_name(options.weights, options.activations)


def _menu(own: str) -> list[str]:
    """Precisions that are tried beside a stage's own where none are named."""
    narrower = {"w8a8": "w4a8", "w8a16": "w8a8", "w4a16": "w4a8", "w16a16": "w8a16"}.get(own)
    wider = ["w8a16", "fp16"] if own in ("w8a8", "w4a8") else ["fp16"]
    return [*([narrower] if narrower else []), *wider]
