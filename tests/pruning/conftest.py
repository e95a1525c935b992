"""Settings of the property tests: the same cases on every machine, however busy it is."""

from hypothesis import settings

settings.register_profile("snapq", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("snapq")
