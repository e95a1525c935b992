"""What was measured before: kept in one SQLite file, compared, and gated against slowing down."""
