"""Networks that no package builds as they were measured."""
