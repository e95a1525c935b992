"""The rules that the linter checks, grouped by what they look at."""
