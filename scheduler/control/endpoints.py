"""Where a service can be reached, as the leader knows it. Pure.

Duty: the nodes on which a service's published ports answer; what people are told of networks that
end at a node. Not here: addresses of single tasks (their agents report them).
"""

from berth.model.network import NODE_LOCAL
from berth.model.node import NodeState
from berth.model.service import TaskSpec
from scheduler.core.service_state import ServiceState
from scheduler.core.state import LeaderState


def published_at(state: LeaderState, service: ServiceState) -> list[str]:
    """Return the addresses of the nodes where the service's published ports answer.

    There are no virtual addresses: this is what stands in for them. None where the service asks
    for no ports, or for no such address (dnsrr).
    """
    endpoint = service.record.spec.endpoint
    if not endpoint.ports or endpoint.mode == "dnsrr":
        return []
    nodes = (state.nodes.get(node_id) for node_id in service.running_on)
    return sorted(
        {
            node.description.address
            for node in nodes
            if node is not None and node.state is not NodeState.DOWN and node.description.address
        }
    )


def shared_networks(task: TaskSpec) -> list[str]:
    """Return the networks that tasks ask for and that are not every Engine's own."""
    return [each.target for each in task.networks if each.target not in (*NODE_LOCAL, "")]


def network_note(task: TaskSpec) -> str:
    """Return what to tell of a running task's networks; "" where there is nothing to tell.

    `docker service ps` cuts it after 29 characters, so what matters stands first.
    """
    names = ", ".join(shared_networks(task))
    return f"per-node bridge: {names} (it does not reach tasks on other nodes)" if names else ""
