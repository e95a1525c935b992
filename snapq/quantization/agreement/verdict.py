"""What is said of a device whose NPU was compared with the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from snapq.quantization.agreement.compare import Agreement, Finding
from snapq.quantization.agreement.locate import Located
from snapq.records import AgreementRecord

__all__ = ["WHAT_TO_DO", "Verdict", "records", "verdict"]

_TOO_SMALL = (
    "Scale what is so small up in the model, or quantize it: integers have scales of their own. "
    "gates.npu_matches_cpu: false accepts its values."
)
WHAT_TO_DO = (
    "Give this node another precision (quantize.overrides; quantize a float model), write it "
    "otherwise in the model, or accept its values with gates.npu_matches_cpu: false."
)


@dataclass(frozen=True)
class Verdict:
    """What was found on one device.

    Attributes:
        fault: what is wrong with the NPU's values; None where they are right, or where differences
            add up with no node at fault.
        node: the first node where the NPU and the CPU part, where there is a fault.
        notes: sentences for the reader, the fault among them.
    """

    fault: str | None = None
    node: str | None = None
    notes: tuple[str, ...] = ()


def verdict(device: str, findings: Sequence[Agreement], located: Located | None) -> Verdict:
    """Says what findings mean.

    Args:
        device: its name.
        findings: of all outputs and groups of channels.
        located: where the NPU and the CPU part, where that was found.
    """
    dead = tuple(
        f"{device}: '{one.place}' holds one value on all {one.samples} samples, on the CPU too, "
        "where the float model has several: its step is too coarse. Give it an output or an "
        "encoding of its own, or 16 bits."
        for one in findings
        if one.finding is Finding.DEAD
    )
    faults = [one for one in findings if one.finding.faulty]
    if not faults:
        return Verdict(notes=dead)
    told = "; ".join(map(str, faults))
    if not (any(one.wrong for one in faults) or (located is not None and located.alone)):
        where = f", the first part at {located}" if located is not None else ""
        text = f"{device}: {told}. No node alone shows it{where}: it adds up."
        return Verdict(notes=(*dead, text))
    where = f"; the first part that is off: {located}" if located is not None else ""
    fault = f"wrong on the NPU: {told}{where}"
    node = located.node if located is not None else None
    what = _TOO_SMALL if all(one.reach is not None for one in faults) else WHAT_TO_DO
    return Verdict(fault, node, (*dead, f"{device}: {fault}. {what}"))


def records(
    label: str, device: str, findings: Sequence[Agreement], found: Verdict
) -> tuple[AgreementRecord, ...]:
    """The findings as a run keeps them, with the label of the precision."""
    return tuple(
        AgreementRecord(
            label=label,
            device=device,
            output=one.output,
            channels=one.channels,
            npu_sqnr_db=one.npu_db,
            cpu_sqnr_db=one.cpu_db,
            agreement_db=one.agreement_db,
            samples=one.samples,
            finding=one.finding.value,
            failed=one.finding.faulty and found.fault is not None,
            node=found.node if one.finding.faulty else None,
        )
        for one in findings
    )
