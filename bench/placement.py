"""How fast the placement engine is: tasks placed per second, from demand to occupied nodes.

    python -m bench.placement [--nodes 1000,10000,100000] [--seconds 1.0] [--json FILE] [--check]

Every node has 20 labels of 10 values each. Every group asks for CPU and memory and has one `==` and
one `!=` constraint of its own (9 % of the nodes are left), or, in the rows called "wide", two `!=`
(81 % are left); the rows called "racks" spread over zones and racks too. A row counts compiling the
demand, filters, ranking, and taking the nodes in the table; it does not count making task records,
storing or sending them. Rows run for `--seconds` each, on a cluster with 10 tasks a node; what a
row placed is taken away again, uncounted. `--check` exits with 1 below the floors of FLOORS.

One core is used; seconds are CPU time of the process, so that other work on the machine does not
count (it still lowers the figures through caches and clocks: compare within a run). The cluster is
frozen out of the garbage collector's sight, as a leader does after loading its state.
"""

import argparse
import gc
import json
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from berth.model.ids import NodeId, ServiceId
from berth.model.node import Node, NodeDescription, NodeSpec
from berth.model.resources import NodeResources, Reservation
from berth.model.service import EndpointSpec, Placement, Platform, TaskSpec
from scheduler.core.placement.demand import Demand, compile_demand
from scheduler.core.placement.explain import explain
from scheduler.core.placement.place import could_fit, global_candidates, place
from scheduler.core.placement.table import NodeTable

LABELS, VALUES = 20, 10
GROUPS = (1, 10, 100, 1000, 10_000)
CPU = 1_000_000_000
GIB = 2**30
NO_ENDPOINT = EndpointSpec()

FLOORS = {  # (row, nodes) -> tasks per second
    ("group of 1000", 10_000): 1_000_000,
    ("group of 1", 10_000): 60_000,
    ("group of 1", 100_000): 8_000,
}


@dataclass(frozen=True)
class Figure:
    row: str
    nodes: int
    calls: int
    tasks: int
    seconds: float

    @property
    def us_per_call(self) -> float:
        return self.seconds / self.calls * 1e6

    @property
    def tasks_per_s(self) -> float:
        return self.tasks / self.seconds

    def __str__(self) -> str:
        rate = f"{self.tasks_per_s:14,.0f}" if self.tasks else " " * 14
        return f"{self.nodes:>8,}  {self.row:<22}{self.us_per_call:>12,.1f}{rate}"


def a_cluster(nodes: int, rng: random.Random) -> NodeTable:
    """Fill a table with nodes of 64 CPUs and 256 GiB in 3 zones and up to 200 racks."""
    table = NodeTable()
    for number in range(nodes):
        labels = {f"k{key}": f"v{rng.randrange(VALUES)}" for key in range(LABELS)}
        labels |= {"zone": f"z{number % 3}", "rack": f"r{number % 200}"}
        description = NodeDescription(
            hostname=f"host-{number}",
            platform=Platform("linux", "x86_64"),
            resources=NodeResources(64 * CPU, 256 * GIB),
        )
        node = Node(NodeId(f"node-{number:06}"), NodeSpec(labels=labels), description)
        table.put_node(node, accepting=True)
    return table


def specs(rng: random.Random, wide: bool, spread: tuple[str, ...] = ()) -> Iterator[TaskSpec]:
    """Yield templates, each with constraints of its own."""
    first = "!=" if wide else "=="
    while True:
        one, two = rng.sample(range(LABELS), 2)
        constraints = (
            f"node.labels.k{one}{first}v{rng.randrange(VALUES)}",
            f"node.labels.k{two}!=v{rng.randrange(VALUES)}",
        )
        memory_bytes = rng.choice([16, 32, 64]) * 2**20
        yield TaskSpec(
            reservation=Reservation(CPU // 100, memory_bytes),
            placement=Placement(
                constraints=constraints,
                spread_preferences=spread,
                platforms=(Platform("linux", "amd64"),),
            ),
        )


def measure(
    row: str, table: NodeTable, count: int, templates: Iterator[TaskSpec], seconds: float
) -> Figure:
    """Place groups of `count` tasks, each a service of its own, for `seconds`."""
    calls = tasks = 0
    spent = 0.0
    batch_size = max(1, min(500, 20_000 // count))
    while spent < seconds:
        batch = [  # Making the specs is not what is measured.
            (ServiceId(f"{row}-{calls + index}"), next(templates)) for index in range(batch_size)
        ]
        placed: list[tuple[Demand, list[NodeId]]] = []
        begun = time.process_time()
        for service_id, spec in batch:
            demand = compile_demand(service_id, spec, NO_ENDPOINT)
            placed.append((demand, place(table, demand, count).nodes))
        spent += time.process_time() - begun
        for demand, nodes in placed:
            assert len(nodes) == count, f"{row}: the cluster is full, nothing is measured"
            tasks += count
            for node_id in nodes:
                table.vacate(node_id, demand)
        calls += batch_size
    return Figure(row, len(table), calls, tasks, spent)


def measure_asking(
    row: str,
    table: NodeTable,
    templates: Iterator[TaskSpec],
    ask: Callable[[NodeTable, Demand], object],
    seconds: float,
) -> Figure:
    """Put a question about one demand after the other, for `seconds`."""
    calls = 0
    spent = 0.0
    while spent < seconds:
        demands = [
            compile_demand(ServiceId("asking"), next(templates), NO_ENDPOINT) for _ in range(50)
        ]
        begun = time.process_time()
        for demand in demands:
            ask(table, demand)
        spent += time.process_time() - begun
        calls += len(demands)
    return Figure(row, len(table), calls, 0, spent)


def run(nodes: int, seconds: float) -> Iterator[Figure]:
    """Measure all rows on one cluster size."""
    rng = random.Random(nodes)
    begun = time.process_time()
    table = a_cluster(nodes, rng)
    yield Figure("put a node", nodes, nodes, 0, time.process_time() - begun)
    for template, _ in zip(specs(rng, wide=False), range(400), strict=False):
        # Columns of labels are made when first used; a leader has them after its first minutes.
        place(table, compile_demand(ServiceId("warm-up"), template, NO_ENDPOINT), 1)
    for number, template in zip(range(nodes // 100), specs(rng, wide=True), strict=False):
        place(table, compile_demand(ServiceId(f"base-{number}"), template, NO_ENDPOINT), 1000)
    gc.collect()
    gc.freeze()
    for count in GROUPS:
        yield measure(f"group of {count}", table, count, specs(rng, wide=False), seconds)
    for count in (100, 1000):
        yield measure(f"group of {count}, wide", table, count, specs(rng, wide=True), seconds)
    for count in (1, 10, 100, 1000):
        racks = specs(rng, False, ("node.labels.zone", "node.labels.rack"))
        yield measure(f"group of {count}, racks", table, count, racks, seconds)
    for ask in (could_fit, explain):
        yield measure_asking(ask.__name__, table, specs(rng, wide=False), ask, seconds)
    wide = specs(rng, wide=True)
    yield measure_asking("global_candidates", table, wide, global_candidates, seconds)


def main() -> int:
    """Print a table; return 1 when a floor was asked for and missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", default="1000,10000,100000", help="cluster sizes, by commas")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each row runs")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--check", action="store_true", help="exit with 1 below the floors")
    options = parser.parse_args()
    figures: list[Figure] = []
    print(f"{'nodes':>8}  {'row':<22}{'us/call':>12}{'tasks/s':>14}")
    for nodes in (int(text) for text in options.nodes.split(",")):
        for figure in run(nodes, options.seconds):
            print(figure, flush=True)
            figures.append(figure)
        print(f"peak RSS so far {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")
    if options.json:
        rows = [asdict(it) | {"tasks_per_s": it.tasks_per_s} for it in figures]
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    missed = [
        f"{it.row} at {it.nodes:,} nodes: {it.tasks_per_s:,.0f}/s, floor {FLOORS[key]:,}/s"
        for it in figures
        if (key := (it.row, it.nodes)) in FLOORS and it.tasks_per_s < FLOORS[key]
    ]
    if options.check and missed:
        print("below the floor: " + "; ".join(missed), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
