"""Rows 3 to 9: a whole scheduler on a real etcd, with simulated agents over real gRPC.

    python -m bench.cluster --agents 2000 --steps idle,dispatch,loss,create,take-over [--save FILE]

It starts everything itself on loopback. All of it shares this machine: etcd, the scheduler and the
agents; the figures say who used how much CPU. `--limit` measures in the same run, before anything
else, what bare gRPC and nothing behind it does with as many streams and tasks (bench.limit), and
the dispatch is told as a share of that too.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import structlog

from bench.figures import save
from bench.limit import measure_limit
from bench.rig import Rig, rig
from bench.steps import (
    Client,
    Measured,
    measure_dispatch,
    measure_idle,
    measure_loss,
    measure_take_over,
    wait_nodes,
)

STEPS = ("idle", "dispatch", "loss", "create", "take-over")
LEASE_TTL_S = 5.0
VICTIMS = 2


async def measure(args: argparse.Namespace, made: Rig, found: Measured) -> None:
    client = Client(made.schedulers[0].address)
    try:
        victims = [f"sim-{args.agents + number:05d}" for number in range(len(made.victims))]
        await wait_nodes(made, client, args.agents + len(victims))
        made.leads(await client.leader_address())
        nice = os.getpriority(os.PRIO_PROCESS, made.leader.process.pid)
        found.figures["scheduler_nice"] = nice
        for step in args.steps:
            print(f"... {step}", file=sys.stderr, flush=True)
            match step:
                case "idle":
                    async with made.leader.unwatched():
                        # Connecting costs more than idling: let the last of it pass.
                        await asyncio.sleep(args.idle_s / 3)
                        part = await measure_idle(made, args.idle_s)
                case "dispatch":
                    part = await measure_dispatches(args, made, client)
                case "create":
                    part = await measure_dispatch(
                        made, client, services=args.singles, replicas=1,
                        clients=args.clients, prefix="create",
                    )  # fmt: skip
                case "loss":
                    part = await measure_loss(made, client, victims)
                case _:
                    part = await measure_take_over(made, LEASE_TTL_S)
            found.figures |= part.figures
            found.samples |= part.samples
    finally:
        await client.aclose()


async def measure_dispatches(args: argparse.Namespace, made: Rig, client: Client) -> Measured:
    """Dispatch as many tasks as was asked for; of several numbers each is told by its own name."""
    found = Measured()
    for replicas in args.replicas:
        is_alone = len(args.replicas) == 1
        part = await measure_dispatch(
            made, client, services=args.services, replicas=replicas, clients=args.clients,
            prefix="dispatch" if is_alone else f"dispatch_{args.services * replicas}",
        )  # fmt: skip
        found.figures |= part.figures
        found.samples |= part.samples
    return found


def numbers_of(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def steps_of(text: str) -> list[str]:
    steps = text.split(",")
    unknown = [step for step in steps if step not in STEPS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no step {unknown}; there are {', '.join(STEPS)}")
    return sorted(steps, key=STEPS.index)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=2, help="that simulate the agents")
    parser.add_argument("--steps", type=steps_of, default="idle,dispatch", help=", ".join(STEPS))
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--replicas", type=numbers_of, default=[5000], help="one, or several")
    parser.add_argument("--singles", type=int, default=1000, help="services of the step create")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--start-s", type=float, default=0.0, help="a container's start takes")
    parser.add_argument("--idle-s", type=float, default=15.0)
    parser.add_argument("--limit", action="store_true", help="measure the limit in the same run")
    parser.add_argument("--save", type=Path, help="Append the figures to this file, as JSON.")
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    found = Measured({"agents": args.agents})
    if args.limit:
        found.figures |= measure_limit(args.agents, args.services * max(args.replicas))
    schedulers = 2 if "take-over" in args.steps else 1
    victims = VICTIMS if "loss" in args.steps else 0
    with rig(
        agents=args.agents, schedulers=schedulers, processes=args.processes,
        victims=victims, start_s=args.start_s,
    ) as made:  # fmt: skip
        try:
            asyncio.run(measure(args, made, found))
        except BaseException:
            print(made.logs(), file=sys.stderr)
            raise
    limit = found.figures.get("limit_tasks_per_cpu_s")
    if limit and "dispatch_tasks_per_cpu_s" in found.figures:
        found.figures["dispatch_share_of_limit"] = found.figures["dispatch_tasks_per_cpu_s"] / limit
    save("cluster", vars(args), found.figures, found.samples, args.save)


if __name__ == "__main__":
    main()
