"""Imports what a worker trains with, and nothing else: for a fork server, whose children then start in milliseconds; and for actors."""

from __future__ import annotations

import hpsearch.training.loop
import hpsearch.training.run  # noqa: F401
from hpsearch.models import MODELS

for family in MODELS.values():
    family.load()
