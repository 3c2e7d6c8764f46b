"""What may vary: parameters, conditions between them, constraints.

parameter.py       Float, Int, Categorical
search_space.py    SearchSpace: which configurations there are
counting.py        how many
constraint.py      bounds on what is known before training
distributions.py   to Optuna and back
values.py          what a value may be, and when two are the same
"""

from hpsearch.space.constraint import Constraint
from hpsearch.space.parameter import Categorical, Float, Int, Parameter, When
from hpsearch.space.search_space import SearchSpace
from hpsearch.space.values import SpaceError

__all__ = ["Categorical", "Constraint", "Float", "Int", "Parameter", "SearchSpace", "SpaceError", "When"]
