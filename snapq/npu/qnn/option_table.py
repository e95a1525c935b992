"""Provider options of the QNN execution provider, by version.

The provider ignores names that it does not know without a word, and most values too (measured on
2.7.0), so snapq checks both first. Source: the provider's documentation and the strings of its
library; values in doubt were tried.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Rule:
    """Which values an option takes."""

    pattern: str
    """Regular expression of a whole value."""
    meaning: str
    """In words, `one of 0, 1`."""

    def accepts(self, value: str) -> bool:
        """Whether the provider takes `value`."""
        return re.fullmatch(self.pattern, value, re.DOTALL) is not None


def _words(text: str) -> Rule:
    """One of these words."""
    return Rule(text.replace(" ", "|"), "one of " + text.replace(" ", ", "))


def _whole(least: int = 0) -> Rule:
    """A whole number of at least 0 or 1."""
    return Rule(r"0*[1-9]\d*" if least else r"\d+", f"an integer of at least {least}")


def _wholes() -> Rule:
    """A whole number of at least 1, or several."""
    one = _whole(1)
    several = f"{one.meaning}, or several with commas between"
    return Rule(f"{one.pattern}(,{one.pattern})*", several)


_SWITCH = _words("0 1")
_TEXT = Rule(".+", "text that is not empty")

_VERSION_2_7: dict[str, Rule] = {
    "backend_type": _words("htp gpu saver ir"),  # `cpu` has no library in the wheel
    "backend_path": _TEXT,
    "soc_model": _wholes(),
    "htp_arch": _words("0 68 69 73 75 79 81"),
    "device_id": _whole(),
    "vtcm_mb": _wholes(),
    "htp_performance_mode": _words(
        "burst balanced default high_performance high_power_saver low_balanced low_power_saver "
        "power_saver extreme_power_saver sustained_high_performance"
    ),
    "htp_graph_finalization_optimization_mode": _words("0 1 2 3"),
    "rpc_control_latency": _whole(),
    "qnn_context_priority": _words(
        "low normal_low normal normal_high high high_plus critical critical_plus"
    ),
    "profiling_level": _words("off basic detailed optrace"),
    "profiling_file_path": _TEXT,
    "enable_htp_fp16_precision": _SWITCH,
    "htp_bf16_enable": _SWITCH,
    "enable_htp_fp16_clamp_overflow": _SWITCH,
    "offload_graph_io_quantization": _SWITCH,
    "enable_htp_spill_fill_buffer": _SWITCH,
    "enable_htp_shared_memory_allocator": _SWITCH,
    "enable_dx12_shared_memory_allocator": _SWITCH,
    "enable_vtcm_backup_buffer_sharing": _SWITCH,
    "htp_share_resource_optimization": _words("1"),
    "htp_reused_io_limit_mb": _whole(),
    "enable_htp_monolithic_lstm": _SWITCH,
    "enable_block_quant_weight_optimization": _SWITCH,
    "extended_udma": _SWITCH,
    "enable_htp_prepare_only": _SWITCH,
    "enable_htp_prepare_and_load": _SWITCH,
    "enable_htp_graph_splitting": _SWITCH,
    "htp_graph_splitting_num_prepare_threads": _whole(1),
    "num_graph_prepare_threads": _whole(1),
    "disable_file_mapped_weights": _SWITCH,
    "op_packages": _TEXT,
    "op_affinity": _TEXT,
    "skip_backend_op_validation": _SWITCH,
    "skip_qnn_version_check": _SWITCH,
    "dump_json_qnn_graph": _SWITCH,
    "json_qnn_graph_dir": _TEXT,
    "dump_qnn_ir_dlc": _SWITCH,
    "dump_qnn_ir_dlc_dir": _TEXT,
    "qnn_ir_backend_path": _TEXT,
    "enable_framework_op_trace": _SWITCH,
    "framework_op_trace_dir": _TEXT,
    "dump_qnn_ep_input_graph": _SWITCH,
    "dump_qnn_ep_input_graph_dir": _TEXT,
    "qnn_saver_path": _TEXT,
}

TABLES: Mapping[str, Mapping[str, Rule]] = MappingProxyType({"2.7": _VERSION_2_7})
"""Option tables by major and minor version of onnxruntime-qnn."""

REJECTED_SOC_IDS = frozenset({14, 22, 23, 24, 44, 79, 80, 81, 98, 121, 124})
"""Ids that the backend refuses (measured from 1 to 130)."""

NOT_HTP_SOC_IDS = frozenset(
    {*range(1, 14), *range(15, 22), *range(25, 30), 31, 33, 40, *range(47, 50), 51, 55, 56, 59, 63}
    | {65, 71, 83, 84, 106, 107, 116, 118}
)
"""Ids that compile although the chip has no HTP (v66 and older, LPAI, AIC100): measured."""


def options_of(version: str | None) -> Mapping[str, Rule]:
    """The table for a version of onnxruntime-qnn; that of the newest tested one where unknown."""
    series = ".".join((version or "").split(".")[:2])
    return TABLES.get(series, TABLES[max(TABLES, key=lambda v: tuple(map(int, v.split("."))))])
