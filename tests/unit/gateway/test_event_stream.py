"""One stream over all leaders: nothing of objects is lost or doubled, and gaps are told."""

from berth.model.events import ObjectEvent
from berth.model.ids import Epoch, NodeId, ServiceId, TaskId
from berth.model.task import TaskState
from berth.views import EventBatch, TaskEvent
from gateway.event_stream import EventStream
from gateway.translate.events import Told

S = TaskState


def an_object(time_ns: int) -> ObjectEvent:
    return ObjectEvent(time_ns, "service", "update", f"s{time_ns}", {"name": "web"})


def a_task(
    time_ns: int, before: TaskState | None, after: TaskState | None, task: str = "t1"
) -> TaskEvent:
    return TaskEvent(
        time_ns,
        TaskId(task),
        ServiceId("s1"),
        "web",
        1,
        True,
        NodeId("n1"),
        "app:1",
        observed_before=before,
        desired_before=None if before is None else S.RUNNING,
        observed=after,
        desired=None if after is None else S.RUNNING,
    )


def batch(
    position_ns: int,
    *events: ObjectEvent | TaskEvent,
    epoch: int = 1,
    objects_from: int = 0,
    tasks_from: int = 0,
    newest: int = 0,
) -> EventBatch:
    return EventBatch(Epoch(epoch), position_ns, objects_from, tasks_from, newest, events)


def begun(position_ns: int = 100, *, newest: int = 90, with_tasks: bool = True) -> EventStream:
    stream = EventStream("s1")
    assert stream.since_ns == 0
    assert stream.begin(batch(position_ns, newest=newest), with_tasks=with_tasks) == []
    return stream


def words(events: list[Told]) -> list[str]:
    found = []
    for event in events:
        if event.missed:
            found.append(f"gap {','.join(event.missed)}")
        elif event.kind == "task":
            attributes = event.attributes
            states = [attributes.get(f"state.{which}", "") for which in ("old", "new")]
            found.append(" ".join(["task", event.action, *filter(None, states)]))
        else:
            found.append(event.id)
    return found


OBJECTS = "gap config,network,node,secret,service"


def test_what_comes_is_told_and_the_next_stream_goes_on_behind_it() -> None:
    stream = begun()
    told = stream.take(batch(105, an_object(101), a_task(105, None, S.PENDING)))
    assert words(told) == ["s101", "task create"]
    assert (stream.epoch, stream.since_ns, stream.told_object_ns) == (1, 106, 101)


def test_under_the_same_leader_nothing_is_missing() -> None:
    stream = begun()
    assert stream.begin(batch(100, tasks_from=50, objects_from=50), with_tasks=True) == []
    assert words(stream.take(batch(110, an_object(103), tasks_from=50))) == ["s103"]


def test_what_the_leader_had_to_forget_is_a_gap_told_once() -> None:
    stream = begun()
    first = batch(100, tasks_from=150, objects_from=130)
    assert words(stream.begin(first, with_tasks=True)) == [OBJECTS, "gap task"]
    late = batch(160, an_object(155), tasks_from=150, objects_from=130)
    assert words(stream.take(late)) == ["s155"]
    overrun = batch(300, a_task(300, None, S.PENDING), tasks_from=200, objects_from=130)
    assert words(stream.take(overrun)) == ["gap task", "task create"]


def test_who_hears_of_objects_alone_misses_no_tasks() -> None:
    stream = begun(with_tasks=False)
    assert stream.begin(batch(100, tasks_from=150), with_tasks=False) == []
    assert stream.begin(batch(0, epoch=2, tasks_from=200), with_tasks=False) == []


def test_the_next_leader_tells_of_all_objects_and_of_tasks_since_it_leads() -> None:
    stream = begun()
    stream.take(batch(105, an_object(101), a_task(105, S.STARTING, S.RUNNING)))
    first = batch(0, epoch=2, tasks_from=90, newest=103)
    assert words(stream.begin(first, with_tasks=True)) == ["gap task"]
    # Its clock is behind ours: nothing is told by it, but objects' times rise all the same.
    more = batch(95, an_object(103), a_task(91, None, S.PENDING, "t2"), epoch=2, tasks_from=90)
    assert words(stream.take(more)) == ["s103", "task create"]
    assert (stream.epoch, stream.since_ns) == (2, 96)


def test_what_was_told_of_an_object_is_not_told_again() -> None:
    stream = begun(newest=90)
    stream.take(batch(105, an_object(101)))
    stream.begin(batch(0, epoch=2, tasks_from=200), with_tasks=False)
    again = batch(210, an_object(80), an_object(90), an_object(101), an_object(102), epoch=2)
    assert words(stream.take(again)) == ["s102"]


def test_what_a_new_leader_finds_out_again_is_no_news() -> None:
    stream = begun()
    stream.take(batch(105, a_task(104, None, S.PENDING), a_task(105, S.PENDING, S.STARTING)))
    stream.begin(batch(0, epoch=2, tasks_from=200), with_tasks=True)
    found = stream.take(
        batch(
            205,
            a_task(201, None, S.PENDING),
            a_task(202, S.PENDING, S.ASSIGNED),
            a_task(203, S.ASSIGNED, S.RUNNING),
            a_task(204, S.RUNNING, S.FAILED),
            a_task(205, S.FAILED, None),
            epoch=2,
        )
    )
    assert words(found) == [
        "task update starting running",
        "task update running failed",
        "task remove",
    ]


def test_what_nobody_listened_for_is_not_remembered() -> None:
    stream = begun()
    stream.take(batch(105, a_task(105, None, S.PENDING)))
    stream.begin(batch(105), with_tasks=False)
    stream.begin(batch(105), with_tasks=True)
    assert words(stream.take(batch(106, a_task(106, S.STARTING, S.RUNNING)))) == [
        "task update starting running"
    ]
