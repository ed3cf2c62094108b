"""A cancellation that a TaskGroup has dropped.

Duty: one check. With Python 3.11, who is cancelled while a TaskGroup of its own ends with an error
sees the error alone; whoever catches that goes on as if nothing had been said (issue 116720 of
cpython, mended in 3.13).
"""

import asyncio


def check_cancelled() -> None:
    """Go on with a cancellation of the present task, if there is one.

    Raises:
        asyncio.CancelledError: there is.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
