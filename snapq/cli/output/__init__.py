"""What the terminal shows: progress on standard error, tables on standard output."""
