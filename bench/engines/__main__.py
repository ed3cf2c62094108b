"""Rows 10 and 11: real Engines, beside bare docker commands and a Docker Swarm of the same Engines.

    python -m bench.engines --steps start [--save FILE]               row 10
    python -m bench.engines --steps update,cut,kill [--save FILE]     row 11

Needs root: it makes five hosts out of network namespaces, each with an Engine of its own, and lets
the same Engines be a Swarm and the nodes of a Berth (etcd, three schedulers, five agents). All
share this machine; only one of them is at work at a time, and the rounds of all sides alternate.

Steps: `start` creates a service; `update` replaces all its tasks, ten at a time; `cut` pulls the
plug of a machine, once with the defaults of both sides and once with both tuned to notice alike;
`kill` kills the leader.
"""

import argparse
import contextlib
from pathlib import Path

import structlog

from bench.engines.losses import measure_cut, measure_leader_kill, tune
from bench.engines.rounds import Rounds
from bench.engines.sides import CallSide, CommandSide, ServiceSide, pull_everywhere
from bench.engines.starts import Side, measure_starts
from bench.engines.updates import measure_updates
from bench.figures import save
from tests.beside.swarm import Swarm, swarm_of
from tests.cluster import TestCluster, running_cluster
from tests.hosts import Lab, lab

STEPS = ("start", "update", "cut", "kill")
MANAGERS = 3
LEASE_TTL_S = 5  # The default; the tests' clusters have less.
BEST = ["--detach", "--endpoint-mode=dnsrr"]
"""Swarm then assigns no virtual address to the service, and the client does not watch."""


class Bench:
    """The ground of one run, and what is measured on it."""

    def __init__(self, args: argparse.Namespace, made: Lab, cluster: TestCluster) -> None:
        self._args = args
        self._lab = made
        self._cluster = cluster
        self._config = made.work_dir / "docker-cli"
        self._config.mkdir()
        self._images = made.images.sleeper("1.0"), made.images.sleeper("1.1")
        pull_everywhere(made.hosts, *self._images)
        self.found = Rounds()

    def services(self, swarm: Swarm, flags: list[str], suffix: str = "") -> list[ServiceSide]:
        return [
            ServiceSide(f"swarm{suffix}", lambda: swarm.docker_host, self._config, flags),
            ServiceSide(
                f"berth{suffix}", lambda: self._cluster.leader().docker_host, self._config, flags
            ),
        ]

    def with_one_manager(self, steps: list[str]) -> None:
        """Measure what a Swarm does best with one manager: nothing is replicated."""
        args, hosts = self._args, self._lab.hosts
        with (
            swarm_of(hosts) as swarm,
            contextlib.closing(CallSide(hosts, args.width)) as calls,
            contextlib.closing(CallSide(hosts, args.parallelism)) as replacing,
        ):
            if "start" in steps:
                bare: list[Side] = [CommandSide(hosts, self._config, args.width), calls]
                usual = self.services(swarm, [], "_default") if args.defaults else []
                measure_starts(
                    self._lab, self._cluster, [*bare, *self.services(swarm, BEST), *usual],
                    self._images[0], self.found, replicas=args.replicas, rounds=args.rounds,
                )  # fmt: skip
            if "update" in steps:
                flags = [
                    *BEST, f"--update-parallelism={args.parallelism}",
                    "--update-delay=0s", "--update-monitor=1s",
                ]  # fmt: skip
                measure_updates(
                    self._lab, self._cluster, [replacing, *self.services(swarm, flags)],
                    self._images, self.found, replicas=args.replicas, rounds=args.rounds,
                )  # fmt: skip

    def with_three_managers(self, steps: list[str]) -> None:
        """Measure losses: of a machine that manages nothing, and of the leader."""
        args, hosts, image = self._args, self._lab.hosts, self._images[0]
        managers = MANAGERS if len(hosts) > MANAGERS else 1  # The last host must manage nothing.
        with swarm_of(hosts, managers=managers) as swarm:
            if "kill" in steps:
                for number in range(args.losses):
                    measure_leader_kill(
                        self._cluster, swarm, self._config, image, self.found, number=number
                    )
            if "cut" in steps:
                where = self._lab, self._cluster, swarm
                if args.defaults:
                    for number in range(args.losses):
                        sides = self.services(swarm, BEST)
                        measure_cut(
                            *where, sides, image, self.found,
                            replicas=args.replicas, name="cut", number=number,
                        )  # fmt: skip
                tune(self._cluster, swarm)
                for number in range(args.losses):
                    for side in self.services(swarm, [*BEST, "--restart-delay=0s"]):
                        measure_cut(
                            *where, [side], image, self.found,
                            replicas=args.replicas, name="cut_tuned", number=number,
                        )  # fmt: skip


RATIOS = (
    ("start_berth_by_limit", "start_berth_s", "start_limit_s"),
    ("start_berth_by_floor", "start_berth_s", "start_floor_s"),
    ("start_berth_by_swarm", "start_berth_s", "start_swarm_s"),
    ("start_swarm_by_limit", "start_swarm_s", "start_limit_s"),
    ("start_berth_by_swarm_default", "start_berth_default_s", "start_swarm_default_s"),
    ("update_berth_by_floor", "update_berth_s", "update_floor_s"),
    ("update_berth_by_swarm", "update_berth_s", "update_swarm_s"),
    ("update_swarm_by_floor", "update_swarm_s", "update_floor_s"),
    ("cut_berth_by_swarm", "cut_berth_s", "cut_swarm_s"),
    ("cut_tuned_berth_by_swarm", "cut_tuned_berth_s", "cut_tuned_swarm_s"),
    ("leader_kill_berth_by_swarm", "leader_kill_berth_s", "leader_kill_swarm_s"),
)


def judged(found: Rounds) -> dict[str, float]:
    """Return medians, and what is asked of them: each as a share of a limit, or of Swarm's."""
    ratios = {name: found.ratio(part, whole) for name, part, whole in RATIOS}
    return found.figures() | {name: value for name, value in ratios.items() if value is not None}


def steps_of(text: str) -> list[str]:
    steps = text.split(",")
    unknown = [step for step in steps if step not in STEPS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no step {unknown}; there are {', '.join(STEPS)}")
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=steps_of, default="start", help=", ".join(STEPS))
    parser.add_argument("--hosts", type=int, default=5)
    parser.add_argument("--replicas", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=4, help="of start and update")
    parser.add_argument("--losses", type=int, default=2, help="of each kind")
    parser.add_argument("--parallelism", type=int, default=10, help="of the update")
    parser.add_argument("--width", type=int, default=10, help="bare commands at a time")
    parser.add_argument(
        "--no-defaults", dest="defaults", action="store_false",
        help="leave out what a user gets who types no flags",
    )  # fmt: skip
    parser.add_argument("--save", type=Path, help="Append the figures to this file, as JSON.")
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    with lab(hosts=args.hosts) as made, running_cluster(made, lease_ttl_s=LEASE_TTL_S) as cluster:
        bench = Bench(args, made, cluster)
        try:
            if {"start", "update"} & set(args.steps):
                bench.with_one_manager(args.steps)
            if {"cut", "kill"} & set(args.steps):
                bench.with_three_managers(args.steps)
        finally:  # What was measured before something went wrong took minutes.
            save("engines", vars(args), judged(bench.found), bench.found.samples, args.save)


if __name__ == "__main__":
    main()
