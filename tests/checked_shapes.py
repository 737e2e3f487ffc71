"""Arrays are checked against the shapes and kinds that the package's functions state for them.

`conftest.py` has jaxtyping decorate every function of the package on import with `checked`, so that
a shape that does not hold fails the test that sees it. Other types are mypy's: what users may hand
over by mistake is refused in sentences, which tests read. A test of arrays that are refused takes
the fixture `unchecked_shapes`.
"""

import re
from typing import Any, Self

from beartype import BeartypeConf, FrozenDict, beartype

SHAPED = re.compile(r"\b(Bool|Complex|Float|Inexact|Int|Num|Real|Shaped|UInt)\d*\[")
WORD = re.compile(r"\b[A-Z]\w*\b")

# `Self` has a meaning in classes that beartype decorates whole; jaxtyping hands it methods.
_checking = beartype(conf=BeartypeConf(hint_overrides=FrozenDict({Self: Any})))


def checked(function):
    """Have beartype check those arguments, and that result, whose annotation states a shape."""
    function.__annotations__ = {
        name: note if states_shape(str(note), function.__globals__) else Any
        for name, note in function.__annotations__.items()
    }
    return _checking(function)


def states_shape(note, names):
    """Return whether an annotation states a shape, itself or by an alias of its module.

    Shapes of the arguments of a callable cannot be checked: those of users stay unchecked.
    """
    if "Callable[" in note:
        return False
    aliases = (str(names.get(word)) for word in WORD.findall(note))
    return any(SHAPED.search(text) for text in (note, *aliases))
