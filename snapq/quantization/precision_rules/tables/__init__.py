"""What the NPU takes, as tables: operators, data types by architecture, fixed ranges."""
