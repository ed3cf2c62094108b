import asyncio
import io
from typing import Any

import pytest
from rich.console import Console

from berth.errors import ConflictError, UnavailableError
from berth.model.ids import NodeId, ServiceId, TaskId
from berth.model.instant import Instant, Timestamp
from berth.model.service import (
    RestartCondition,
    RestartPolicy,
    ServiceSpec,
    TaskSpec,
    UpdatePolicy,
)
from berth.model.task import TaskState, TaskStatus
from berth.views import ServiceView, TaskView, UpdateStatusView
from cli.follow import (
    Convergence,
    LiveProgress,
    PlainProgress,
    Silent,
    SlotProgress,
    Snapshot,
    follow_service,
    take_snapshot,
)


def a_service(state: str = "", message: str = "", wanted: int = 2, **fields: Any) -> ServiceView:
    status = UpdateStatusView(state, message) if state else None
    return ServiceView(
        ServiceId("s"), update_status=status, desired_tasks=wanted, **{"spec": SPEC, **fields}
    )


SPEC = ServiceSpec(name="web", update=UpdatePolicy(monitor_s=1.0))


def a_task(slot: int, state: TaskState = TaskState.RUNNING, **fields: Any) -> TaskView:
    error = fields.pop("error", "")
    status = TaskStatus(TaskId(f"t{slot}"), state, error=error)
    values = {"is_current": True, **fields}
    return TaskView(
        TaskId(f"t{slot}"), ServiceId("s"), NodeId("n"), "web", slot, status=status, **values
    )


def test_only_current_and_wanted_tasks_count() -> None:
    tasks = [
        a_task(1),
        a_task(2, is_current=False),
        a_task(3, is_history=True),
        a_task(4, desired=TaskState.SHUTDOWN),
        a_task(5, TaskState.PENDING, error="no suitable node"),
    ]
    snapshot = take_snapshot(a_service(), tasks)
    assert (snapshot.running, snapshot.wanted, snapshot.is_whole) == (1, 2, False)
    assert snapshot.slots == (
        SlotProgress("web.1", "running"),
        SlotProgress("web.5", "pending", "no suitable node"),
    )
    assert snapshot.reasons == ["web.5: no suitable node"]


def test_a_running_task_stands_for_its_slot_before_a_newer_one() -> None:
    tasks = [a_task(1, attempt=1), a_task(1, TaskState.STARTING, attempt=2)]
    assert take_snapshot(a_service(), tasks).running == 1


def test_tasks_that_ended_well_and_are_not_restarted_are_done() -> None:
    once = ServiceSpec(task=TaskSpec(restart=RestartPolicy(RestartCondition.NONE)))
    assert take_snapshot(a_service(spec=once, completed_tasks=2), []).is_whole
    assert not take_snapshot(a_service(completed_tasks=2), []).is_whole


@pytest.mark.parametrize(
    ("state", "is_rollback", "failure", "is_active", "is_completed"),
    [
        ("", False, "", False, False),
        ("updating", False, "", True, False),
        ("completed", False, "", False, True),
        ("paused", False, "the update is paused: why", False, False),
        ("rollback_started", False, "", True, False),
        ("rollback_started", True, "", True, False),
        ("rollback_paused", True, "the rollback is paused: why", False, False),
        ("rollback_completed", False, "the update was rolled back: why", False, False),
        ("rollback_completed", True, "", False, True),
    ],
)
def test_what_a_rollout_says_is_the_verdict(
    state: str, is_rollback: bool, failure: str, is_active: bool, is_completed: bool
) -> None:
    snapshot = take_snapshot(a_service(state, "why"), [], is_rollback=is_rollback)
    assert (snapshot.failure, snapshot.is_active, snapshot.is_completed) == (
        failure,
        is_active,
        is_completed,
    )


def test_whole_must_last_for_the_monitor_period_without_a_gap() -> None:
    wait = Convergence(monitor_s=5.0)
    whole, gap = Snapshot(2, 2), Snapshot(1, 2)
    assert not wait.is_reached(whole, Instant(0.0))
    assert not wait.is_reached(whole, Instant(4.9))
    assert not wait.is_reached(gap, Instant(4.95))
    assert not wait.is_reached(whole, Instant(6.0))
    assert wait.is_reached(whole, Instant(11.0))


def test_while_a_rollout_is_active_it_is_not_over() -> None:
    wait = Convergence(monitor_s=0.0)
    assert not wait.is_reached(Snapshot(2, 2, is_active=True), Instant(9.0))
    assert wait.is_reached(Snapshot(0, 2, is_completed=True), Instant(9.0))


class SteppingClock:
    def __init__(self) -> None:
        self.now = 0.0

    def instant(self) -> Instant:
        return Instant(self.now)

    def timestamp(self) -> Timestamp:
        return Timestamp(self.now)

    async def sleep(self, delay_s: float) -> None:
        self.now += delay_s


class ScriptedClient:
    """Tells one (service, tasks) after the other, the last one for ever."""

    def __init__(self, *answers: tuple[ServiceView, list[TaskView]]) -> None:
        self._answers = list(answers)

    async def get_service(self, name: str) -> ServiceView:
        return self._answers[0][0]

    async def list_tasks(self, **_: Any) -> list[TaskView]:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer[1]


def follow(client: ScriptedClient, **options: Any) -> tuple[list[str], float]:
    lines: list[str] = []
    clock = SteppingClock()
    try:
        asyncio.run(
            follow_service(
                client,  # type: ignore[arg-type]  # Only what is asked of it.
                "web",
                clock=clock,
                progress=PlainProgress(lines.append),
                **options,
            )
        )
    except (ConflictError, UnavailableError) as error:
        lines.append(f"! {error.message}")
    return lines, clock.now


def test_following_shows_each_change_once() -> None:
    starting = (a_service(), [a_task(1, TaskState.PREPARING)])
    whole = (a_service(), [a_task(1), a_task(2)])
    lines, took_s = follow(ScriptedClient(starting, starting, whole))
    assert lines == [
        "0 of 2 tasks running",
        "2 of 2 tasks running",
        "service web converged",
    ]
    assert took_s == pytest.approx(1.8, abs=0.01)


def test_following_ends_with_the_reason_of_a_failure() -> None:
    no_tasks: list[TaskView] = []
    failed = (a_service("paused", "task web.1 failed"), no_tasks)
    lines, _ = follow(ScriptedClient((a_service("updating"), []), failed))
    assert lines[-1] == '! service "web": the update is paused: task web.1 failed'


def test_following_gives_up_in_time() -> None:
    waiting = (a_service(), [a_task(1, TaskState.PENDING, error="no node")])
    lines, took_s = follow(ScriptedClient(waiting), timeout_s=60.0)
    assert lines[-1] == (
        '! service "web" did not converge within 1m: 0 of 2 tasks running; web.1: no node'
    )
    assert took_s == pytest.approx(60.0, abs=0.5)


def test_on_a_terminal_bars_move_and_go_away() -> None:
    console = Console(force_terminal=True, width=100, record=True, file=io.StringIO())
    with LiveProgress(console) as progress:
        progress.show(Snapshot(1, 2, (SlotProgress("web.1", "running"),), note="rolling back: x"))
        progress.show(Snapshot(2, 2, (SlotProgress("web.1", "[bold]"),)))
        progress.finish("service web converged")
    text = console.export_text()
    assert "rolling back: x" in text
    assert "service web converged" in text


def test_quiet_shows_nothing() -> None:
    with Silent() as progress:
        progress.show(Snapshot(1, 2))
        progress.finish("x")
