"""Builder of the tasks that runtimes are given in tests: only what a test cares about is said."""

from dataclasses import replace
from typing import Any

from berth.model.ids import NodeId, ServiceId, TaskId, task_id
from berth.model.service import EndpointSpec, TaskSpec
from nodeagent.runtime.port import RuntimeTask

NODE = NodeId("node1node1node1node1node1")
SERVICE = ServiceId("serv1serv1serv1serv1serv1")


def a_runtime_task(
    image: str = "busybox:1",
    *,
    slot: int = 1,
    attempt: int = 1,
    node_id: NodeId = NODE,
    task: TaskSpec | None = None,
    endpoint: EndpointSpec | None = None,
    of_task: dict[str, Any] | None = None,
    **container: Any,
) -> RuntimeTask:
    """Return a task of the service `web` whose container is as the keywords say.

    `of_task` sets fields of the RuntimeTask itself.
    """
    spec = task or TaskSpec()
    spec = replace(spec, container=replace(spec.container, image=image, **container))
    built = RuntimeTask(
        task_id=TaskId(task_id(SERVICE, slot, None, attempt)),
        service_id=SERVICE,
        service_name="web",
        service_labels={"tier": "front"},
        slot=slot,
        is_global=False,
        attempt=attempt,
        node_id=node_id,
        node_name="host-7",
        cluster_id="cluster1",
        epoch=41,
        template_version=2,
        task=spec,
        endpoint=endpoint or EndpointSpec(),
        node_platform="linux/amd64",
    )
    return replace(built, **(of_task or {}))
