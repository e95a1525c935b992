"""Where a model runs: this machine's CPU, boards, emulated boards."""
