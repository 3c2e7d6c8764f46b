"""Which version of a registered model is its champion: decided once for each version, from the tags that both versions have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ALIAS = "champion"

DIGEST, METRIC, GOAL, VALUE = "hpsearch.data_digest", "hpsearch.metric", "hpsearch.goal", "hpsearch.value"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a version gets the alias, and why: the end of a sentence that begins with the version."""

    is_champion: bool
    why: str


def judge(mine: Mapping[str, str], champion: int | None, theirs: Mapping[str, str]) -> Verdict:
    """Whether a version with the tags `mine` takes the alias from version `champion`, whose tags are `theirs`.

    It does where there is none, and where it is better by the same objective on the same data, split alike. Whatever cannot be compared is
    left as it is, for a person to decide.
    """
    if champion is None:
        return Verdict(True, "is the champion: there was none")
    if theirs.get(DIGEST) != mine[DIGEST]:
        was = f"digest {theirs[DIGEST][:12]}, not {mine[DIGEST][:12]}" if DIGEST in theirs else "nobody knows which"
        return Verdict(False, f"is not the champion: version {champion} was trained on other data ({was}), and cannot be compared with it")
    if (theirs.get(METRIC), theirs.get(GOAL)) != (mine[METRIC], mine[GOAL]):
        was = f"{theirs.get(GOAL, '?')} {theirs.get(METRIC, '?')}"
        return Verdict(False, f"is not the champion: version {champion} has another objective ({was}), and cannot be compared with it")
    ours, best = float(mine[VALUE]), float(theirs[VALUE])
    is_better = ours > best if mine[GOAL] == "maximize" else ours < best
    said = f"{mine[METRIC]} {ours:.6g} against {best:.6g} of version {champion}"
    return Verdict(is_better, f"is the champion: {said}" if is_better else f"is not the champion: {said}")
