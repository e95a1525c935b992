#!/bin/sh
# Installs PyTorch, the extra `train`, into an environment: the build for the CPU where one can be
# had, as the one for CUDA is some gigabytes. Where none can be had, says what is left out.
#
#     scripts/install_torch.sh .venv/bin/python
set -eu

python=$1
index=https://download.pytorch.org/whl/cpu
"$python" -c "import torch" 2>/dev/null && exit 0

options=
if "$python" - "$index/" <<'END' 2>/dev/null
import sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=5).close()
END
then
    options="--extra-index-url $index"
fi
# shellcheck disable=SC2086  # several words
"$python" -m pip install --quiet $options torch && exit 0

cat >&2 <<'END'
NOTE: PyTorch cannot be installed here; what trains (the finetune stage, tests/training) is left out.
END
