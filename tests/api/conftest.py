"""The small project of the pipeline's tests, for the Python API too."""

from tests.pipeline.conftest import project

__all__ = ["project"]
