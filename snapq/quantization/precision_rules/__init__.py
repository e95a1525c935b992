"""Which operators keep more bits by rule, by override, or because of what the NPU takes."""
