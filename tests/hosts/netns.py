"""Give each host a network of its own: a namespace, joined to the others by a bridge.

Duty: a bridge with a subnet that clashes with nothing, and one plug (`NetworkPort`) per host.
Not here: what runs behind the plug (host).
Invariants: names and subnet are unique while the lab lives; everything made is in the ledger first.
"""

import fcntl
import ipaddress
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hosts.errors import LabError
from tests.hosts.ledger import NETNS_FOLDER, Ledger, run_tool

_LOCK = Path("/run/berth-lab.lock")
_ATTEMPTS = 50


@contextmanager
def _machine_lock() -> Iterator[None]:
    """Let one lab at a time pick its subnet, since picking and taking it are two steps."""
    with _LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _subnets_in_use() -> list[ipaddress.IPv4Network]:
    """List what this machine has addresses in or routes to (the default route aside)."""
    used = []
    for link in json.loads(run_tool("ip", "-json", "-4", "address")):
        for info in link.get("addr_info", ()):
            used.append(f"{info['local']}/{info['prefixlen']}")
    for route in json.loads(run_tool("ip", "-json", "-4", "route")):
        if route["dst"] != "default":
            used.append(route["dst"])
    return [ipaddress.IPv4Network(text, strict=False) for text in used]


def _free_subnet() -> ipaddress.IPv4Network:
    used = _subnets_in_use()
    for _ in range(_ATTEMPTS):
        second, third = 64 + secrets.randbelow(128), secrets.randbelow(256)
        subnet = ipaddress.IPv4Network(f"10.{second}.{third}.0/24")
        if not any(subnet.overlaps(other) for other in used):
            return subnet
    raise LabError("no free subnet in 10.64.0.0/9: remove the routes that cover it")


def _free_id() -> str:
    for _ in range(_ATTEMPTS):
        lab_id = secrets.token_hex(2)
        taken = Path(f"/sys/class/net/bl{lab_id}").exists()
        if not taken and not list(Path(NETNS_FOLDER).glob(f"bl{lab_id}*")):
            return lab_id
    raise LabError("no free name for a bridge: clean up with `python -m tests.hosts --clean`")


class NetworkPort:
    """One host's plug: its network namespace, its address, and the cable to the bridge."""

    def __init__(self, netns: str, cable: str, address: str) -> None:
        self.netns = netns
        self.netns_path = f"{NETNS_FOLDER}/{netns}"
        self.address = address
        self._cable = cable

    def cut(self) -> None:
        """Pull the cable: nothing gets in or out; the host's own loopback works on."""
        run_tool("ip", "link", "set", self._cable, "down")

    def restore(self) -> None:
        """Plug the cable in again."""
        run_tool("ip", "link", "set", self._cable, "up")


class HostNetwork:
    """The bridge between the hosts of one lab; this machine has an address on it too."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._ports: list[NetworkPort] = []
        self.lab_id = ""
        self.bridge = ""
        self.subnet = ipaddress.IPv4Network("0.0.0.0/32")

    @property
    def address(self) -> str:
        """This machine's own address on the bridge."""
        return str(self.subnet[1])

    def create(self) -> None:
        """Make the bridge and let its frames through this machine's firewall."""
        with _machine_lock():
            self.lab_id = _free_id()
            self.subnet = _free_subnet()
            self.bridge = f"bl{self.lab_id}"
            self._ledger.add_link(self.bridge)
            run_tool("ip", "link", "add", self.bridge, "type", "bridge", "forward_delay", "0")
            run_tool("ip", "address", "add", f"{self.address}/24", "dev", self.bridge)
        run_tool("ip", "link", "set", self.bridge, "up")
        # Where br_netfilter is loaded, bridged frames pass FORWARD, which Docker sets to DROP.
        for rule in (
            ["FORWARD", "-i", self.bridge, "-o", self.bridge, "-j", "ACCEPT"],
            ["INPUT", "-i", self.bridge, "-j", "ACCEPT"],
        ):
            self._ledger.add_rule(rule)
            run_tool("iptables", "-w", "-I", *rule)

    def add_port(self) -> NetworkPort:
        """Make a namespace with an address of its own and join it to the bridge."""
        number = len(self._ports) + 1
        netns = f"{self.bridge}h{number}"
        cable = f"{self.bridge}v{number}"
        address = str(self.subnet[10 + number])
        self._ledger.add_netns(netns)
        run_tool("ip", "netns", "add", netns)
        self._ledger.add_link(cable)
        run_tool(
            *("ip", "link", "add", cable, "type", "veth"),
            *("peer", "name", "eth0", "netns", netns),
        )
        run_tool("ip", "link", "set", cable, "master", self.bridge, "up")
        run_tool("ip", "-n", netns, "link", "set", "lo", "up")
        run_tool("ip", "-n", netns, "address", "add", f"{address}/24", "dev", "eth0")
        run_tool("ip", "-n", netns, "link", "set", "eth0", "up")
        port = NetworkPort(netns, cable, address)
        self._ports.append(port)
        return port
