"""Opens what `data:` of deploy.yaml names: the one way to samples.

Every kind of source has a file of its own; each streams, so that memory does not grow with the
number of samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.config import DataSource
from snapq.errors import DataError
from snapq.evaluation.arrays import open_arrays
from snapq.evaluation.generated import open_python, open_random
from snapq.evaluation.images import image_input, open_images
from snapq.evaluation.samples import Dataset, Label, Sample
from snapq.evaluation.tables import open_table
from snapq.storage import storage_errors

if TYPE_CHECKING:
    from snapq.graph.shapes import TensorSpec

__all__ = ["Dataset", "Label", "Sample", "image_input", "open_dataset"]


def open_dataset(
    source: DataSource, inputs: Sequence[TensorSpec], *, base: Path, labelled: bool = False
) -> Dataset:
    """Opens a data source for a model's inputs, and checks at once all that headers can tell.

    Args:
        source: where the samples are.
        inputs: what the float model takes.
        base: folder of the YAML file; relative paths and modules are looked for there.
        labelled: whether every sample has to have a label.

    Raises:
        DataError: the data is missing, unreadable, of another shape, or its labels do not match.
        StorageError: a file or folder cannot be read.
    """
    base = base.absolute()
    with storage_errors(base):
        if source.images is not None:
            return open_images(source, inputs, base=base, labelled=labelled)
        if source.arrays is not None:
            return open_arrays(source, inputs, base=base, labelled=labelled)
        if source.table is not None:
            return open_table(source, inputs, base=base, labelled=labelled)
        if source.labels is not None or (labelled and source.random):
            raise DataError(
                "`labels` belongs to images and arrays; a function yields its labels itself."
                if source.python
                else "Random inputs have no labels.",
                where=str(source.labels or "random"),
                hint="Remove `labels`."
                if source.labels
                else "Leave `metric` out, or give real data.",
            )
        if source.python is not None:
            return open_python(source, inputs, base=base, labelled=labelled)
        return open_random(source, inputs)
