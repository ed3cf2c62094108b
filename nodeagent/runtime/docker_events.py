"""Follow what happens to this node's containers.

Duty: subscribe, reconnect with back-off, and say when something may have been missed.
Not here: what the agent does about it.
Invariants (tests/contract/test_docker_runtime.py): every connection, the first too, begins with an
`EventGap`, yielded after the Engine has taken the subscription; so a caller that lists everything
upon each gap misses nothing.

The Engine keeps its last few hundred events in memory and replays them from `since`; after its own
restart it has none. Whether a replay was complete cannot be told, hence a gap each time.
"""

import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from berth.clock import Clock
from berth.model.ids import NodeId, TaskId
from nodeagent.runtime.docker_errors import TRANSPORT_ERRORS, explanation
from nodeagent.runtime.engine_pool import EnginePool
from nodeagent.runtime.json_lines import JsonLines
from nodeagent.runtime.port import ContainerChanged, EngineAway, EventGap, RuntimeCallError
from nodeagent.runtime.translate import LABEL_NODE, LABEL_TASK

RECONNECT_DELAY_S = 0.1
RECONNECT_DELAY_S_MAX = 5.0

# Named one by one: a health check's `exec_create`, `exec_start`, `exec_die` would drown the rest.
_ACTIONS = (
    "create",
    "start",
    "die",
    "oom",
    "stop",
    "pause",
    "unpause",
    "destroy",
    "health_status",
)


async def container_events(
    pool: EnginePool, node_id: NodeId, clock: Clock
) -> AsyncGenerator[ContainerChanged | EventGap | EngineAway, None]:
    """Yield changes until the caller stops, or `pool` is closed."""
    since = f"{clock.timestamp():.9f}"
    reason = "connected to the Docker Engine"
    delay_s = RECONNECT_DELAY_S
    while True:
        documents = JsonLines()
        try:
            async with (
                pool.stream("events", "GET", "/events", params=_query(node_id, since)) as stream,
                contextlib.aclosing(stream.batches()) as batches,
            ):
                yield EventGap(reason)
                delay_s = RECONNECT_DELAY_S
                async for batch in batches:
                    for document in documents.feed(batch):
                        since = _time_text(document) or since
                        if change := _change(document):
                            yield change
            reason = "the Docker Engine ended its event stream"
        except RuntimeCallError as error:
            reason = error.message
        except (*TRANSPORT_ERRORS, ValueError) as error:
            reason = f"the Docker Engine's event stream broke: {explanation(error)}"
        if pool.is_closed:
            return
        yield EngineAway(reason)
        await clock.sleep(delay_s)
        delay_s = min(delay_s * 2, RECONNECT_DELAY_S_MAX)


def _query(node_id: NodeId, since: str) -> dict[str, str]:
    filters = {
        "type": ["container"],
        "label": [f"{LABEL_NODE}={node_id}"],
        "event": list(_ACTIONS),
    }
    return {"since": since, "filters": json.dumps(filters)}


def _change(document: Mapping[str, Any]) -> ContainerChanged | None:
    actor = document.get("Actor") or {}
    task_id = (actor.get("Attributes") or {}).get(LABEL_TASK)
    if not task_id:
        return None
    action = document.get("Action") or ""
    return ContainerChanged(TaskId(task_id), actor.get("ID") or "", action)


def _time_text(document: Mapping[str, Any]) -> str:
    """Return the event's time as the Engine takes it back, exact to the nanosecond."""
    time_ns = document.get("timeNano")
    if not time_ns:
        return ""
    seconds, nanoseconds = divmod(int(time_ns), 1_000_000_000)
    return f"{seconds}.{nanoseconds:09d}"
