"""What the package stage recorded: placement of nodes, and what was compiled."""

from __future__ import annotations

from snapq.pipeline.evidence.base import Evidence, Found, Subject
from snapq.records import Figures
from snapq.stages.base import Input, Reads


def gather(subject: Subject) -> Found:
    """Reads the record."""
    packaged = subject.packaged
    assert packaged is not None
    return Found(Figures(placements=packaged.placements, bundle=packaged.targets))


EVIDENCE = Evidence("package", Reads((Input.PACKAGE,)), gather, kept=False)
