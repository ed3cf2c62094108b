"""Plays a transcript: commands of users and machines, and what followed from each, as text.

A line that begins with "> " is a command; the lines under it are its effects, each with the time
since the beginning. `n1 <- web.1#2 running` is what the agent of n1 was told (the second attempt at
slot 1 of web is wanted RUNNING), `n1 -> …` what it reports, `n1 down: …` what the leader concludes,
`web updating …` how a rollout stands. Agents obey as tests.unit.scheduler.core.world says.
"""

import re
from collections.abc import Callable, Mapping

from berth.model.duration import parse_duration_s
from berth.model.ids import NodeId, TaskId
from berth.model.node import Availability, NodeSpec
from berth.model.service import (
    FailureAction,
    RestartCondition,
    ServiceSpec,
    UpdateOrder,
    UpdatePolicy,
)
from berth.model.task import Task
from scheduler.core import commands
from scheduler.core.service_state import ServiceState, slot_of
from tests.builders import a_spec, restart
from tests.unit.scheduler.core.world import World

Words = dict[str, str]
Place = tuple[NodeId, TaskId]
_AVAILABILITY = {
    "drain": Availability.DRAIN,
    "pause": Availability.PAUSE,
    "activate": Availability.ACTIVE,
}


class RecordedWorld(World):
    """A world that notes what changes, turn by turn."""

    def __init__(self, nodes: int) -> None:
        self.lines: list[str] = []
        self._names: dict[TaskId, str] = {}
        self._wanted: dict[Place, str] = {}
        self._reported: dict[Place, str] = {}
        self._nodes_seen: dict[str, str] = {}
        self._status_seen: dict[str, str] = {}
        super().__init__(nodes)

    def turn(self) -> bool:
        self._learn_names()
        moved = super().turn()
        self.note_changes()
        return moved

    def say(self, words: str) -> None:
        self.lines.append(f"{self.instant - 1000.0:6.1f}s  {words}")

    def note_changes(self) -> None:
        """Say what differs from the last look."""
        self._learn_names()
        for name, node in sorted(self.state.nodes.items()):
            words = f"{name} {node.state.value}" + (f": {node.message}" if node.message else "")
            if self._nodes_seen.get(name) != words:
                self.say(words)
                self._nodes_seen[name] = words
        for gone in sorted(set(self._nodes_seen) - set(self.state.nodes)):
            self.say(f"{gone} removed")
            del self._nodes_seen[gone]
        wanted = {
            (node.id, task): desired.name.lower()
            for node in self.nodes.values()
            for task, (desired, _) in node.wanted.items()
        }
        self._say_changes("<-", self._wanted, wanted, "forget")
        self._wanted = wanted
        reported = {
            (node.id, task): state.name.lower()
            for node in self.nodes.values()
            for task, state in node.reported.items()
        }
        self._say_changes("->", self._reported, reported, "")
        self._reported = reported
        for service in self.state.services.values():
            self._note_status(service)

    def _say_changes(
        self,
        arrow: str,
        before: Mapping[Place, str],
        after: Mapping[Place, str],
        gone: str,
    ) -> None:
        by_node: dict[NodeId, list[str]] = {}
        for node, task in sorted({*before, *after}, key=lambda key: (key[0], self._names[key[1]])):
            words = after.get((node, task), gone)
            if words and words != before.get((node, task)):
                by_node.setdefault(node, []).append(f"{self._names[task]} {words}")
        for told, changes in by_node.items():
            self.say(f"{told} {arrow} {', '.join(changes)}")

    def _note_status(self, service: ServiceState) -> None:
        record = service.record
        status = record.update_status
        words = "no rollout"
        if status is not None:
            words = f"{status.state.value}, slots to replace {status.slots_total}: {status.message}"
        if self._status_seen.get(record.id, "no rollout") != words:
            self.say(f"{record.spec.name} {words}")
        self._status_seen[record.id] = words

    def _learn_names(self) -> None:
        for task in self.state.tasks.values():
            self._names[task.id] = self.name_of(task)

    def name_of(self, task: Task) -> str:
        name = self.state.services[task.service_id].record.spec.name
        return f"{name}.{slot_of(task)}#{task.attempt}"


class Player:
    """Runs the commands of one transcript."""

    def __init__(self) -> None:
        self.world = RecordedWorld(0)
        self._words: dict[str, Words] = {}
        self._verbs: dict[str, Callable[[list[str], Words], None]] = {
            "nodes": self._nodes,
            "create": self._create,
            "update": self._update,
            "rollback": self._roll_back,
            "rm": self._remove,
            **dict.fromkeys(_AVAILABILITY, self._nothing),
            "cut": lambda names, _: self.world.cut(names[0]),
            "return": lambda names, _: self.world.join(names[0]),
            "fail": self._fail,
            "wait": self._wait,
            "reload": lambda names, _: self.world.reload(),
            "pulled": self._pulled,
            "hold-stops": lambda names, _: self.world.stops_held.add(names[0]),
            "stops": lambda names, _: self.world.stops_held.discard(names[0]),
            "show": self._show,
            "story": self._story,
        }

    def play(self, command: str) -> list[str]:
        """Run one command, let everything settle, and return what followed."""
        verb, *rest = command.split()
        names = [word for word in rest if "=" not in word]
        settings = dict(word.split("=", 1) for word in rest if "=" in word)
        if verb in _AVAILABILITY:
            self._set_availability(names[0], _AVAILABILITY[verb])
        else:
            self._verbs[verb](names, settings)
        self.world.note_changes()
        self.world.settle()
        lines, self.world.lines = self.world.lines, []
        return lines

    def _nothing(self, names: list[str], settings: Words) -> None:
        raise AssertionError(names)

    def _nodes(self, names: list[str], settings: Words) -> None:
        for number in range(1, int(names[0]) + 1):
            self.world.join(f"n{number}")

    def _create(self, names: list[str], settings: Words) -> None:
        self._words[names[0]] = settings
        self.world.create(_spec(names[0], settings))

    def _update(self, names: list[str], settings: Words) -> None:
        self._words[names[0]] = {**self._words[names[0]], **settings}
        self.world.update(names[0], _spec(names[0], self._words[names[0]]))

    def _roll_back(self, names: list[str], settings: Words) -> None:
        service = self.world.service(names[0])
        commands.roll_back_service(self.world.state, service, 0, self.world.now)

    def _remove(self, names: list[str], settings: Words) -> None:
        commands.remove_service(self.world.state, self.world.service(names[0]))

    def _set_availability(self, node: str, availability: Availability) -> None:
        known = self.world.state.nodes[NodeId(node)]
        spec = NodeSpec(known.spec.labels, availability)
        commands.update_node(self.world.state, known, spec, 0, self.world.now)

    def _fail(self, names: list[str], settings: Words) -> None:
        service, slot = names[0].split(".")
        ran_s = parse_duration_s(settings.get("ran", "1s"))
        (task,) = [task for task in self.world.running(service) if str(slot_of(task)) == slot]
        self.world.fail(task, ran_s=ran_s)

    def _wait(self, names: list[str], settings: Words) -> None:
        self.world.pass_time(parse_duration_s(names[0]))

    def _pulled(self, names: list[str], settings: Words) -> None:
        self.world.slow_done = True

    def _show(self, names: list[str], settings: Words) -> None:
        service = self.world.service(names[0])
        record = service.record
        self.world.say(
            f"{names[0]} version {record.version}, {service.running} running, "
            f"image {record.spec.task.container.image}"
        )
        for task in self.world.tasks(names[0]):
            place = task.node_id or "nowhere"
            why = f" ({task.reason})" if task.reason else ""
            self.world.say(
                f"  {self.world.name_of(task)} on {place}: {self.world.image_of(task)} "
                f"{task.observed.name.lower()}, wanted {task.desired.name.lower()}{why}"
            )

    def _story(self, names: list[str], settings: Words) -> None:
        for at, slot, attempt, words in self.world.service(names[0]).story:
            self.world.say(f"  {at - 1e9 - 1000:5.1f}s {names[0]}.{slot}#{attempt} {words}")


def _spec(name: str, words: Words) -> ServiceSpec:
    words = dict(words)

    def seconds(key: str, otherwise: float) -> float:
        return parse_duration_s(words.pop(key)) if key in words else otherwise

    policy = UpdatePolicy(
        parallelism=int(words.pop("parallelism", "1")),
        delay_s=seconds("delay", 0.0),
        monitor_s=seconds("monitor", 5.0),
        failure_action=FailureAction(words.pop("action", "pause")),
        max_failure_ratio=float(words.pop("ratio", "0")),
        order=UpdateOrder(words.pop("order")) if "order" in words else None,
    )
    labels = {"berth.fence": words.pop("fence")} if "fence" in words else {}
    spec = a_spec(
        name,
        int(words.pop("replicas", "1")),
        image=words.pop("image", "app:1"),
        is_global=words.pop("mode", "") == "global",
        labels=labels,
        cpus=float(words.pop("cpus", "0")),
        port=int(words.pop("port", "0")),
        restart=restart(
            RestartCondition(words.pop("restart", "any")).value,
            seconds("restart-delay", 5.0),
            int(words.pop("attempts", "0")),
            seconds("window", 0.0),
        ),
        update=policy,
        rollback=policy,
        grace_s=seconds("grace", 10.0),
    )
    assert not words, f"what is {words}?"
    return spec


def played(text: str) -> str:
    """Return `text` with the effects that its commands now have."""
    player = Player()
    out: list[str] = []
    for line in text.splitlines():
        if line.startswith("> "):
            out.append(line)
            out += player.play(line[2:])
        elif not line.strip() or line.startswith("#"):
            out.append(line)
        else:
            assert re.match(r" *-?\d", line), f"neither command, effect nor comment: {line}"
    return "\n".join(out) + "\n"
