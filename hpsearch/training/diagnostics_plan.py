"""What is measured of every training besides its task's metrics. No torch here."""

from __future__ import annotations

from collections.abc import Mapping

DIAGNOSTIC_METRICS: Mapping[str, str] = {
    "gradient_norm": "The Euclidean norm of the whole gradient in the epoch's last update on a full batch, before `l1` and `clip_norm`.",
    "gradient_norm_smallest": "Of that gradient, the root mean square in the layer where it is smallest.",
    "gradient_norm_largest": "Of that gradient, the root mean square in the layer where it is largest.",
    "dead_units": "The share of hidden units that gave 0, or were saturated (tanh, sigmoid), for every example that was measured.",
}
"""Each with what it is. They tell how a training goes, not how good its network is: none can be an objective."""
