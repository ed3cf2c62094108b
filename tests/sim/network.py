"""The network between agents and schedulers: connections that delay, stall and break.

Duty: both ends of a stream, as the agent's port (`SchedulerLink`) and the scheduler's
(`AgentStream`) have it; what a cut, a crash and a long pause do to it.
Not here: what is said (nodeagent.link.session, scheduler.dispatch.session), when things break
(faults).

As TCP under gRPC: within one direction of a connection messages keep their order and none is lost
while it lives; a cut holds them back; a connection whose peer does not answer keepalive PINGs for
`KEEPALIVE_S` breaks; messages of different connections overtake each other as they like.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial

from berth.clock import Clock
from berth.errors import UnavailableError
from berth.v1.dispatcher_pb2 import AgentMessage, SchedulerMessage
from scheduler.dispatch.session import serve_agent
from scheduler.dispatch.waiting_room import LeaderSource, WaitingRoom
from tests.sim.loop import Process, SimLoop

KEEPALIVE_S = (2.0, 4.4)
"""When a silent connection is noticed, at the earliest and at the latest."""

REFUSED_AFTER_S = 0.01
_BROKEN = object()
_ENDED = object()


@dataclass
class Server:
    """A scheduler's listening socket."""

    process: Process
    room: WaitingRoom
    clock: Clock


@dataclass
class NetworkFaults:
    """How bad the network is now."""

    delay_s: Callable[[], float] = lambda: 0.001
    is_slow: bool = False
    """True while `delay_s` may be long enough for a node to seem silent."""
    cuts: dict[tuple[str, str], None] = field(default_factory=dict)
    """(from, to) pairs through which nothing passes."""


class Pipe:
    """One direction of a connection."""

    def __init__(self, network: "Network", source: str, target: str) -> None:
        self._network = network
        self.way = (source, target)
        self.inbox: asyncio.Queue[object] = asyncio.Queue()
        self.is_over = False
        """Nothing more comes out of it."""
        self._under_way: list[object] = []
        self._last_at = 0.0

    def put(self, item: object) -> None:
        """Send something; it arrives after everything that was sent before."""
        loop = self._network.loop
        self._last_at = max(self._last_at, loop.time() + self._network.faults.delay_s())
        self._under_way.append(item)
        loop.in_world(self._last_at - loop.time(), self.deliver)

    def deliver(self, *, everything: bool = False) -> None:
        """Let the oldest arrive, unless the way is cut; then it waits for the way to heal."""
        if self.is_over or self._network.is_cut(self.way) or not self._under_way:
            return
        count = len(self._under_way) if everything else 1
        arrived, self._under_way = self._under_way[:count], self._under_way[count:]
        for item in arrived:
            self.inbox.put_nowait(item)
            self.is_over = self.is_over or item is _ENDED

    def end(self) -> None:
        """Let its reader know that it broke; what was under way is lost."""
        if not self.is_over:
            self.is_over = True
            self._under_way.clear()
            self.inbox.put_nowait(_BROKEN)


class Connection:
    """Both directions between an agent and a scheduler."""

    def __init__(self, network: "Network", node: str, agent: Process, server: Server) -> None:
        self.network = network
        self.node = node
        self.agent = agent
        self.server = server
        self.up = Pipe(network, node, server.process.name)
        self.down = Pipe(network, server.process.name, node)
        self._doubts = 0

    @property
    def is_over(self) -> bool:
        return self.up.is_over and self.down.is_over

    @property
    def is_silent(self) -> bool:
        """True while one end cannot hear the other: PINGs go unanswered."""
        ends_turn = self.agent.is_running and self.server.process.is_running
        ways_open = not any(map(self.network.is_cut, (self.up.way, self.down.way)))
        return not (ends_turn and ways_open)

    def doubt(self) -> None:
        """Begin to wait for an answer to a PING, each end for itself."""
        self._doubts += 1
        for pipe in (self.up, self.down):
            delay_s = self.network.rng.uniform(*KEEPALIVE_S)
            self.network.loop.in_world(delay_s, self._give_up, pipe, self._doubts)

    def trust(self) -> None:
        """Take in that the way healed, or that an end goes on: what waited arrives."""
        if not self.is_silent:
            self._doubts += 1
            for pipe in (self.up, self.down):
                pipe.deliver(everything=True)
                if self.up.is_over != self.down.is_over:  # One end had given up: it says so now.
                    self.network.loop.in_world(self.network.faults.delay_s(), self.break_both)

    def break_both(self) -> None:
        """End it at both ends."""
        self.up.end()
        self.down.end()
        self.network.connections.pop(self, None)

    def _give_up(self, pipe: Pipe, doubts: int) -> None:
        if doubts == self._doubts and self.is_silent:
            pipe.end()
            if self.is_over:
                self.network.connections.pop(self, None)


class Network:
    """All connections, and the state of the ways between machines."""

    def __init__(self, loop: SimLoop, rng: random.Random) -> None:
        self.loop = loop
        self.rng = rng
        self.faults = NetworkFaults()
        self.servers: dict[str, Server] = {}
        """By address."""
        self.connections: dict[Connection, None] = {}
        self.on_told: Callable[[str, SchedulerMessage], None] = lambda _node, _message: None
        """Called with each message that a scheduler sends to a node."""

    def is_cut(self, way: tuple[str, str]) -> bool:
        return way in self.faults.cuts

    def cut(self, source: str, target: str) -> None:
        """Let nothing pass from `source` to `target`."""
        self.faults.cuts[source, target] = None
        self.look()

    def heal(self, source: str, target: str) -> None:
        """Let everything pass again."""
        self.faults.cuts.pop((source, target), None)
        for connection in list(self.connections):
            if (source, target) in (connection.up.way, connection.down.way):
                connection.trust()

    def look(self) -> None:
        """Let connections notice that an end, or a way, fell silent."""
        for connection in list(self.connections):
            if connection.is_silent:
                connection.doubt()

    def noticed_end(self, process: Process) -> None:
        """Let the peers of a process that died (its machine lives) hear of it."""
        for connection in list(self.connections):
            if process in (connection.agent, connection.server.process):
                ways = (connection.up.way, connection.down.way)
                if any(map(self.is_cut, ways)):
                    connection.doubt()
                else:
                    self.loop.in_world(self.faults.delay_s(), connection.break_both)

    def resumed(self, process: Process) -> None:
        """Let what waited for a paused process arrive."""
        for connection in list(self.connections):
            if process in (connection.agent, connection.server.process):
                connection.trust()

    def listen(self, address: str, process: Process, source: LeaderSource, clock: Clock) -> None:
        """Let agents reach a scheduler's process at `address`."""
        room = WaitingRoom(source, partial(self.can_reach, process.name), clock)
        self.servers[address] = Server(process, room, clock)

    async def can_reach(self, source: str, address: str) -> bool:
        """Tell a scheduler whether another one's kernel takes a connection."""
        await asyncio.sleep(2 * self.faults.delay_s())
        server = self.servers.get(address)
        if server is None or not server.process.is_alive:
            return False
        ways = ((source, server.process.name), (server.process.name, source))
        return not any(map(self.is_cut, ways))

    async def connect(self, node: str, agent: Process, address: str) -> "AgentEnd":
        """Open a stream; see `SchedulerLink.connect`."""
        answer: asyncio.Future[AgentEnd] = self.loop.create_future()
        self.loop.in_world(self.faults.delay_s(), self._arrive, node, agent, address, answer)
        return await answer

    def _arrive(
        self, node: str, agent: Process, address: str, answer: "asyncio.Future[AgentEnd]"
    ) -> None:
        server = self.servers.get(address)
        if server is not None and any(
            map(self.is_cut, ((node, server.process.name), (server.process.name, node)))
        ):
            return  # No answer at all: the agent's own time-out ends its wait.
        if server is None or not server.process.is_alive:
            error = UnavailableError(f"model: {address} refuses connections")
            self.loop.in_world(self.faults.delay_s() + REFUSED_AFTER_S, _fail, answer, error)
            return
        if not server.process.is_running or answer.done():
            return  # The kernel took the connection, nobody speaks on it.
        connection = Connection(self, node, agent, server)
        for old in [known for known in self.connections if known.is_over]:
            del self.connections[old]
        self.connections[connection] = None
        server.process.spawn(self._serve(connection), f"session of {node}")
        self.loop.in_world(self.faults.delay_s(), self._accept, connection, answer)

    def _accept(self, connection: Connection, answer: "asyncio.Future[AgentEnd]") -> None:
        if answer.done() or not connection.agent.is_alive:
            connection.break_both()
        else:
            answer.set_result(AgentEnd(connection))

    async def _serve(self, connection: Connection) -> None:
        """What a server does with a connection, in its own process."""
        server = connection.server
        try:
            await serve_agent(server.room, server.clock, ServerEnd(connection))
        except (UnavailableError, TimeoutError):
            connection.down.put(_BROKEN)
        else:
            connection.down.put(_ENDED)
        connection.up.end()


class AgentEnd:
    """A `SchedulerStream` on the model."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def send(self, message: AgentMessage) -> None:
        if self._connection.down.is_over:
            raise UnavailableError("model: the connection broke")
        self._connection.up.put(message.SerializeToString())

    async def __aiter__(self) -> AsyncIterator[SchedulerMessage]:
        while True:
            item = await self._connection.down.inbox.get()
            if item is _ENDED:
                return
            if not isinstance(item, bytes):
                raise UnavailableError("model: the connection broke")
            yield SchedulerMessage.FromString(item)

    async def aclose(self) -> None:
        self._connection.up.put(_ENDED)
        self._connection.down.end()


class ServerEnd:
    """An `AgentStream` on the model."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(self) -> AgentMessage | None:
        item = await self._connection.up.inbox.get()
        if item is _ENDED:
            return None
        if not isinstance(item, bytes):
            raise UnavailableError("model: the connection broke")
        return AgentMessage.FromString(item)

    async def write(self, message: SchedulerMessage) -> None:
        if self._connection.up.is_over:
            raise UnavailableError("model: the connection broke")
        self._connection.network.on_told(self._connection.node, message)
        self._connection.down.put(message.SerializeToString())


class AgentLink:
    """A node's `SchedulerLink`."""

    def __init__(self, network: Network, node: str, process: Process) -> None:
        self._network = network
        self._node = node
        self._process = process

    async def connect(self, address: str) -> AgentEnd:
        return await self._network.connect(self._node, self._process, address)


def _fail(answer: "asyncio.Future[AgentEnd]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
