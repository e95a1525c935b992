"""Where a model runs: this machine's CPU, Qualcomm's simulator, later boards."""
