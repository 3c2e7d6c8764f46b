"""From the words of `task.run` to those of one trial's command, and to its environment."""

from __future__ import annotations

import json
import re
import shlex
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hpsearch.errors import InputError, unknown
from hpsearch.trial import Json

OF_THE_TRIAL = ("checkpoint_folder", "from_step", "metrics_file", "params_file", "seed", "trial", "until_step")
"""What a command may be told besides the hyperparameters: `{seed}` in its words, `HPSEARCH_SEED` in its environment."""


def split_words(run: Sequence[str]) -> tuple[str, ...]:
    """A command line as a shell would split it, or the list of words that it was written as. Raises `InputError`."""
    if len(run) > 1:
        return tuple(run)
    try:
        words = tuple(shlex.split(run[0]))
    except ValueError as error:
        raise InputError(f"cannot be split into words: {error}; close the quotation, or give a list of words") from None
    if not words:
        raise InputError("has no word; give the program and its arguments, such as python train.py --lr {learning_rate}")
    return words


def placeholders(word: str) -> list[str]:
    """The names in braces. `{{` and `}}` are plain braces. Raises `InputError`."""
    try:
        parts = list(string.Formatter().parse(word))
    except ValueError as error:
        raise InputError(f"{word!r}: {error}; a brace that is no placeholder is written twice, {{{{ or }}}}") from None
    for _, name, form, conversion in parts:
        if name is not None and (form or conversion or not name):
            raise InputError(f"{word!r}: a placeholder is a hyperparameter's name alone, such as {{learning_rate}}; {{{{ is a plain brace")
    return [name for _, name, _, _ in parts if name is not None]


def check_words(words: Sequence[str], names: Iterable[str], conditional: Iterable[str]) -> None:
    """Raises `InputError` for a placeholder that is no hyperparameter, and for one that would leave its option alone."""
    if taken := sorted({*names} & {*OF_THE_TRIAL}):
        raise InputError(f"{taken[0]} is what a command is told of its trial anyway, as {{{taken[0]}}}; rename the hyperparameter")
    known, sometimes = {*names, *OF_THE_TRIAL}, set(conditional)
    for before, word in zip(("", *words), words, strict=False):
        for name in placeholders(word):
            if name not in known:
                raise InputError(unknown("placeholder", name, known))
            if name in sometimes and word == words[0]:
                raise InputError(f"the program is {word}, and {name} is not in every configuration; name a program that always is")
            if name in sometimes and before.startswith("-") and "=" not in before and word == f"{{{name}}}":
                raise InputError(
                    f"{name} is not in every configuration, and {before} would stand alone without it; write {before}={word} as one word"
                )


def fill(words: Sequence[str], values: Mapping[str, Json]) -> list[str]:
    """One trial's words. A word with a hyperparameter that the configuration has not is left out."""
    return [_filled(word, values) for word in words if all(name in values for name in placeholders(word))]


def _filled(word: str, values: Mapping[str, Json]) -> str:
    return "".join(text + (as_text(values[name]) if name is not None else "") for text, name, _, _ in string.Formatter().parse(word))


def as_text(value: Json) -> str:
    """A string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def variable(name: str) -> str:
    """The environment variable of a hyperparameter: `HPSEARCH_PARAM_LEARNING_RATE`."""
    return "HPSEARCH_PARAM_" + re.sub(r"\W", "_", name.upper(), flags=re.ASCII)


def check_variables(names: Iterable[str]) -> None:
    """Raises `InputError` where two hyperparameters have the same variable."""
    seen: dict[str, str] = {}
    for name in names:
        if (other := seen.setdefault(variable(name), name)) != name:
            raise InputError(f"{other} and {name} would both be {variable(name)} in the command's environment; rename one of them")


@dataclass(frozen=True, slots=True)
class Told:
    """What one attempt's command is told. `values`: of OF_THE_TRIAL."""

    parameters: Mapping[str, Json]
    values: Mapping[str, Json]

    def words(self, words: Sequence[str]) -> list[str]:
        return fill(words, {**self.values, **self.parameters})

    def environment(self) -> dict[str, str]:
        told = {f"HPSEARCH_{name.upper()}": as_text(value) for name, value in self.values.items()}
        return told | {variable(name): as_text(value) for name, value in self.parameters.items()}
