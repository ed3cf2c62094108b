"""Wait for a claim about a running cluster, and say what was seen when it does not come true.

Duty: `wait_until`, the one loop that polls.
Not here: the claims (cluster, the tests), what is printed of a cluster (report).
Invariant: a wait that fails names the claim, how long it waited and the last thing seen.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import grpc
import requests

T = TypeVar("T")


class NotYetError(Exception):
    """Raised by a claim that is not true yet: says what it saw, for the text of a failure."""


class WaitTimeoutError(AssertionError):
    """A claim did not come true in time."""


# What a cluster under fire answers with; a claim need not catch any of it.
_PASSING = (NotYetError, AssertionError, grpc.RpcError, requests.RequestException, OSError)


def wait_until(
    what: str,
    claim: Callable[[], T],
    timeout_s: float = 60.0,
    *,
    every_s: float = 0.1,
    describe: Callable[[], str] | None = None,
) -> T:
    """Call `claim` until it returns something true; return that.

    Args:
        what: the claim in words, for the failure: "five tasks of web run".
        claim: looks once. False, None and the like mean "not yet"; it may also raise NotYetError
            or AssertionError with what it saw. Errors of connections count as "not yet" too.
        timeout_s: how long to go on.
        every_s: pause between two looks.
        describe: more for the failure, such as the state of the cluster; called only then.

    Raises:
        WaitTimeoutError: it did not come true.
    """
    began = time.monotonic()
    last = "nothing was seen"
    looks = 0
    while True:
        looks += 1
        try:
            answer = claim()
            if answer:
                return answer
            last = f"it returned {answer!r}"
        except _PASSING as error:
            last = brief(error)
        waited_s = time.monotonic() - began
        if waited_s > timeout_s:
            text = f"not true after {waited_s:.1f} s ({looks} looks): {what}\nlast seen: {last}"
            if describe is not None:
                text = f"{text}\n{describe()}"
            raise WaitTimeoutError(text)
        time.sleep(every_s)


def status_code(error: BaseException) -> grpc.StatusCode | None:
    """Return the status of a failed call; None for anything else."""
    code = getattr(error, "code", None)
    found = code() if callable(code) else None
    return found if isinstance(found, grpc.StatusCode) else None


def brief(error: BaseException) -> str:
    """Return what went wrong in one line."""
    code = status_code(error)
    if code is not None:
        return f"{code.name}: {getattr(error, 'details', str)()}"
    return f"{type(error).__name__}: {error}"
