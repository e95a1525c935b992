"""Options of a compilation, checked before ONNX Runtime sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapq.errors import ConfigError, DeviceError, nearest
from snapq.npu.qnn import availability, option_table

if TYPE_CHECKING:
    from snapq.devices.profiles import DeviceProfile

_BLOCKS = "enable_block_quant_weight_optimization"
"""Without it the provider computes with block-wise weights in float, five times slower."""
_OURS = {
    _BLOCKS: "snapq sets it",
    "backend_type": "snapq always uses the NPU backend",
    "backend_path": "snapq always uses the NPU backend",
    "soc_model": "the device gives the SoC",
    "htp_arch": "the device gives the architecture; the provider ignores this beside a SoC",
    "vtcm_mb": "use CompileOptions.vtcm_mb",
    "htp_graph_finalization_optimization_mode": "use CompileOptions.optimization_mode",
    "enable_htp_fp16_precision": "use CompileOptions.fp16",
    "profiling_level": "`estimate` sets it",
    "profiling_file_path": "`estimate` sets it",
    "offload_graph_io_quantization": "snapq keeps the boundary on the NPU",
    "dump_qnn_ir_dlc": "use export_dlc",
    "dump_qnn_ir_dlc_dir": "use export_dlc",
    "qnn_ir_backend_path": "use export_dlc",
    "enable_htp_prepare_only": "compile_multi_soc sets it",
    "skip_backend_op_validation": "snapq never skips checks",
}
"""Options that snapq sets itself, with the reason why they cannot be given."""


@dataclass(frozen=True)
class CompileOptions:
    """How the NPU's compiler treats a model.

    No setting is best for every model; `compile_best` tries several.
    """

    optimization_mode: int = 3
    """`htp_graph_finalization_optimization_mode`: 1 compiles fast, 2 is the compiler's default, 3
    works longest; the result is not always the fastest."""
    vtcm_mb: int | None = None
    """On-chip memory to plan with, in MB; the device's own where None."""
    fp16: bool = False
    """Compute floating-point nodes in 16 bits: a float model needs it."""
    extra: tuple[tuple[str, str], ...] = ()
    """Further provider options by name, `(("htp_performance_mode", "burst"),)`."""

    def provider_options(self, device: DeviceProfile) -> dict[str, str]:
        """The provider's options for a device, sorted by name.

        Raises:
            ConfigError: an option is unknown, or has a value that the provider would ignore.
            DeviceError: the device cannot do what is asked.
        """
        check_soc(device)
        self._check_precision(device)
        options = {
            "backend_type": "htp",
            "soc_model": str(device.soc_id),
            "htp_graph_finalization_optimization_mode": str(self.optimization_mode),
            "offload_graph_io_quantization": "0",
        }
        vtcm = self._vtcm(device)
        if vtcm is not None:
            options["vtcm_mb"] = str(vtcm)
        if _BLOCKS in option_table.options_of(availability.status().version):
            options[_BLOCKS] = "1"
        if self.fp16:
            options["enable_htp_fp16_precision"] = "1"
        for name, value in self.extra:
            if name in _OURS:
                raise ConfigError(
                    f"The option cannot be given: {_OURS[name]}.", where=name, hint="Leave it out."
                )
            options[name] = value
        validate(options)
        return dict(sorted(options.items()))

    def _vtcm(self, device: DeviceProfile) -> int | None:
        if self.vtcm_mb is None:
            return device.vtcm_mb
        if device.vtcm_mb is None:
            raise DeviceError(
                f"The VTCM size of {device.name} is not published, so {self.vtcm_mb} MB cannot be "
                "checked.",
                where="vtcm_mb",
                hint="Leave vtcm_mb out, or add the size to a device profile of your own.",
            )
        if self.vtcm_mb > device.vtcm_mb:
            raise DeviceError(
                f"{device.name} has {device.vtcm_mb} MB of VTCM, not {self.vtcm_mb}.",
                where="vtcm_mb",
                hint=f"Use at most {device.vtcm_mb}.",
            )
        return self.vtcm_mb

    def _check_precision(self, device: DeviceProfile) -> None:
        if self.fp16 and "fp16" not in device.precisions:
            raise DeviceError(
                f"{device.name} (v{device.architecture}) cannot compute in 16-bit floating point.",
                where="fp16",
                hint=f"Quantize the model: it runs {', '.join(device.precisions)}.",
            )


DEFAULTS = CompileOptions()


@dataclass(frozen=True)
class Variants:
    """The ways of compiling one model, of which the fastest by the estimate is taken.

    Attributes:
        modes: values of `CompileOptions.optimization_mode`.
        vtcm_mb: sizes of on-chip memory to plan with, beside the device's own: with the highest
            mode alone, as the others gain nothing by them.
        thin_strides: whether strided depthwise convolutions are tried at stride 1.
        tries: how many forms of the model are estimated to find those that are faster
            (`judged.rewrites`), that as it is among them.
    """

    modes: tuple[int, ...] = (3,)
    vtcm_mb: tuple[int, ...] = ()
    thin_strides: bool = False
    tries: int = 0

    def options(self, *, fp16: bool) -> tuple[CompileOptions, ...]:
        """Every set of options, each with fp16 or without; first what is best unestimated."""
        modes = sorted(set(self.modes), reverse=True)
        return tuple(
            CompileOptions(optimization_mode=mode, vtcm_mb=size, fp16=fp16)
            for mode in modes
            for size in (None, *(self.vtcm_mb if mode == modes[0] else ()))
        )


def check_soc(device: DeviceProfile) -> None:
    """Refuses SoC ids that the backend rejects, or for which what it compiles means nothing.

    Raises:
        DeviceError: there is no NPU of the HTP kind behind this id.
    """
    if device.soc_id in option_table.REJECTED_SOC_IDS:
        reason = "Qualcomm's backend does not know this id"
    elif device.soc_id in option_table.NOT_HTP_SOC_IDS:
        reason = "this chip has no HTP; what the compiler makes for it cannot run"
    else:
        return
    raise DeviceError(
        f"SoC id {device.soc_id} cannot be compiled for: {reason}.",
        where=device.name,
        hint="`snapq devices` lists the ones that can.",
    )


def validate(options: Mapping[str, str]) -> None:
    """Checks names and values against the table of the installed version.

    Raises:
        ConfigError: a name is unknown (the nearest is offered) or a value is not one it takes.
    """
    version = availability.status().version
    table = option_table.options_of(version)
    for name, value in options.items():
        rule = table.get(name)
        if rule is None:
            close = nearest(name, table)
            raise ConfigError(
                f"onnxruntime-qnn {version or ''} has no such option.".replace("  ", " "),
                where=name,
                hint=f"Did you mean {close}?" if close else "Leave it out.",
            )
        if not rule.accepts(value):
            raise ConfigError(
                f"{value!r} is not {rule.meaning}.", where=name, hint="Change the value."
            )
    if "backend_type" in options and "backend_path" in options:
        raise ConfigError(
            "The provider takes either backend_type or backend_path.",
            where="backend_path",
            hint="Leave it out.",
        )
