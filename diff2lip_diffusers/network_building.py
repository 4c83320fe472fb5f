"""One network is built at a time in this process.

While diffusers loads weights, parameters that torch makes anywhere in the process get no memory. A network that
another thread builds meanwhile would be unusable.
"""

import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Network = TypeVar("_Network")
_alone = threading.RLock()


def one_at_a_time(build: Callable[_Arguments, _Network]) -> Callable[_Arguments, _Network]:
    """Decorates a function that builds networks: it waits for those that other threads build."""

    @wraps(build)
    def build_alone(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Network:
        with _alone:
            return build(*args, **kwargs)

    return build_alone
