"""What gates look at: the figures of a run, or those of one device or output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from snapq.devices import profiles
from snapq.devices.profiles import DeviceProfile
from snapq.errors import DeviceError
from snapq.npu.arithmetic import distinct
from snapq.records import Figures, FileRecord

NOTHING = "nothing: the run has no such figure"

Verdict = tuple[str, str, bool]
"""The limit in words, what was found, and whether it passed."""


@dataclass(frozen=True)
class Evaluated:
    """What gates look at.

    Attributes:
        figures: of the run.
        devices: the targets.
        precision: label of the package, such as `w8a8`.
        bundle: the files of the bundle.
        packages: where devices have packages of their own, the names of those that share one, and
            its label.
    """

    figures: Figures
    devices: Sequence[DeviceProfile]
    precision: str
    bundle: Sequence[FileRecord] = ()
    packages: Sequence[tuple[tuple[str, ...], str]] = ()

    @property
    def precisions(self) -> frozenset[str]:
        """Labels of all packages."""
        return frozenset({self.precision, *(label for _, label in self.packages)})

    def device_name(self, name: str) -> str | None:
        """The profile's name of one of the devices, by any of its names; None of all others."""
        try:
            found = profiles.find(name).name
        except DeviceError:
            return None
        return found if any(device.name == found for device in self.devices) else None

    def of(self, name: str) -> Evaluated:
        """The figures of one device, or of one output."""
        device = self.device_name(name)
        return self._of_output(name) if device is None else self._of_device(device)

    def _of_output(self, output: str) -> Evaluated:
        one = self.figures
        kept = one.model_copy(
            update={
                # The metric of an output is called `top1 of logits`.
                "accuracy": tuple(a for a in one.accuracy if a.metric.endswith(f" of {output}")),
                "fidelity": tuple(f for f in one.fidelity if f.output == output),
                "answers": tuple(a for a in one.answers if a.output == output),
            }
        )
        return replace(self, figures=kept)

    def _of_device(self, device: str) -> Evaluated:
        """Values are simulated on one of the devices that compute the same to the bit."""
        shared = [(names, label) for names, label in self.packages if device in names]
        names, label = shared[0] if shared else (None, self.precision)
        sharing = [one for one in self.devices if names is None or one.name in names]
        kinds = distinct(sharing, label)
        like = next(kind[0].name for kind in kinds if any(d.name == device for d in kind))
        one = self.figures
        kept = one.model_copy(
            update={
                "accuracy": tuple(
                    a for a in one.accuracy if a.label == "float" or a.device in (device, like)
                ),
                "fidelity": tuple(f for f in one.fidelity if f.device in (device, like)),
                "answers": tuple(a for a in one.answers if a.device in (device, like)),
                "placements": tuple(p for p in one.placements if p.device == device),
                "speedups": tuple(s for s in one.speedups if s.device == device),
                "predictions": tuple(p for p in one.predictions if p.device == device),
                "estimates": tuple(e for e in one.estimates if e.device == device),
                "bundle": tuple(b for b in one.bundle if b.device == device),
            }
        )
        return replace(self, figures=kept, devices=[d for d in self.devices if d.name == device])
