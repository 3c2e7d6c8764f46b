"""Parameters as Optuna distributions and back, without loss. Optuna is imported by the first call.

Optuna's choices are scalars. A list is told to it as a string, `json:[64, 32]`; a string that begins with `json:` itself is told so too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hpsearch.space.parameter import Categorical, Float, Int, Parameter, When
from hpsearch.trial import Json

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_LIST = "json:"
_ALWAYS: When = {}


def to_optuna(parameter: Parameter) -> BaseDistribution:
    """Its distribution; conditions have no place in it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match parameter:
        case Float():
            return FloatDistribution(parameter.min, parameter.max, log=parameter.log, step=parameter.step)
        case Int():
            return IntDistribution(parameter.min, parameter.max, log=parameter.log, step=parameter.step)
        case Categorical():
            return CategoricalDistribution([_encode(value) for value in parameter.values])


def from_optuna(distribution: BaseDistribution, when: When = _ALWAYS) -> Parameter:
    """The parameter of a distribution.

    Raises:
        SpaceError: it has but one value, or is no distribution that a parameter can have.
    """
    from optuna.distributions import FloatDistribution, IntDistribution

    if isinstance(distribution, FloatDistribution):
        return Float(distribution.low, distribution.high, log=distribution.log, step=distribution.step, when=when)
    if isinstance(distribution, IntDistribution):
        return Int(distribution.low, distribution.high, log=distribution.log, step=distribution.step, when=when)
    return Categorical(tuple(_decode(choice) for choice in distribution.choices), when=when)


def encode(parameter: Parameter, value: Json) -> Json:
    """A value of the parameter as Optuna knows it."""
    return _encode(parameter.normal(value)) if isinstance(parameter, Categorical) else value


def decode(parameter: Parameter, value: Json) -> Json:
    """What Optuna suggested for the parameter, in its one form."""
    if isinstance(parameter, Categorical):
        return _decode(value)
    return parameter.normal(min(max(value, parameter.min), parameter.max))  # exp(log(min)) may be just below min


def _encode(value: Json) -> Json:
    if isinstance(value, list) or (isinstance(value, str) and value.startswith(_LIST)):
        return _LIST + json.dumps(value)
    return value


def _decode(choice: Json) -> Json:
    if isinstance(choice, str) and choice.startswith(_LIST):
        return json.loads(choice[len(_LIST) :])
    return choice
