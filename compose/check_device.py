"""Ends the building of an image whose torch is not the build that was asked for.

python compose/check_device.py cpu|cuda
"""

import sys

import torch

CURES = {
    "cpu": "name PyTorch's index of CPU builds: --build-arg PIP_EXTRA_INDEX_URL=…",
    "cuda": "leave PIP_EXTRA_INDEX_URL out: its CPU builds come before the others",
}

wanted = sys.argv[1]
if wanted not in CURES:
    sys.exit(f"DEVICE must be cpu or cuda, got {wanted}")
found = "cpu" if torch.version.cuda is None else "cuda"
if found != wanted:
    sys.exit(f"DEVICE={wanted}, and torch {torch.__version__} is a {found} build; {CURES[wanted]}")
