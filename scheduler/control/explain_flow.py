"""One `berth explain`: read memory, wait until that may leave, say what the store holds up.

Duty: the order of these, and when a store that takes no writes is part of the answer. Not here: the
words for tasks and services (explanations), how long is waited (durable).
"""

from collections.abc import Callable

from berth.model.ids import ServiceId
from berth.v1 import control_pb2 as pb
from scheduler.control.durable import health_words, wait_readable
from scheduler.control.explanations import explain_subject
from scheduler.control.lookup import find_subject
from scheduler.leader import Leader
from scheduler.store.port import StoreHealth, StoreState


async def explain_name(
    leader: Leader, store_health: Callable[[], StoreHealth], name: str
) -> pb.ExplainResponse:
    """Explain a service or a task.

    Raises:
        NotFoundError: there is nothing of that name.
        StoreUnavailableError: the store confirms nothing, and says nothing either.
        NotLeaderError: this scheduler does not lead any more.
    """
    answer = explain_subject(leader.state, find_subject(leader.state, name), leader.now())
    await wait_readable(leader, store_health)
    service = ServiceId(answer.service_id)
    health = store_health()
    if health.state is StoreState.OK or (not leader.is_over and leader.is_durable([service])):
        return answer
    # Memory is shown as it is then, and nodes are told nothing of what is not stored.
    subject = find_subject(leader.state, name)
    return explain_subject(leader.state, subject, leader.now(), unstored=health_words(health))
