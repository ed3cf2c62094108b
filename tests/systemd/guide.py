"""The commands of docs/operations.md: what is typed where, and what a test types instead.

Duty: find the blocks, their machines, and the few things that differ where there is no internet.
Not here: typing them (test_guide).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"
MACHINES = ("m1", "m2", "m3", "m4")

REPLACED: Mapping[str, str] = {
    # Its image cannot be fetched: one of the lab's own registry stands for it.
    " nginx\n": " {image}\n",
    # Packages cannot be fetched on the machines: they are given to them as wheels.
    "deploy/install.sh": "deploy/install.sh --wheels /wheels",
    # The package is on the machine already; there is none of Grafana, neither here nor in Debian.
    "apt-get install -y prometheus\n": "",
    "systemctl restart grafana-server\n": "",
}
"""What of the guide's text is typed otherwise, beside addresses (10.0.0.N: those of the lab)."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some commands, and the machines on which they are typed: of `MACHINES`, or `me`."""

    heading: str
    where: tuple[str, ...]
    commands: str


def blocks() -> list[Block]:
    """Return all blocks of the guide, in order.

    Raises:
        ValueError: one does not say where.
    """
    found = []
    heading = ""
    pattern = r"^#+ (?P<heading>[^\n]+)$|^```\n(?P<text>.*?)^```$"
    for match in re.finditer(pattern, GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        if match["heading"]:
            heading = match["heading"]
            continue
        first, commands = match["text"].split("\n", 1)
        where = re.match(r"# on ((?:m[1-4]|me)(?:, m[1-4])*)\b", first)
        if where is None:
            raise ValueError(f"{heading}: a block does not begin with '# on MACHINE': {first}")
        found.append(Block(heading, tuple(where[1].split(", ")), commands))
    return found


def with_addresses(text: str, addresses: Sequence[str]) -> str:
    """Return `text` with the lab's addresses in place of the guide's."""
    for number, address in enumerate(addresses, 1):
        text = re.sub(rf"\b10\.0\.0\.{number}\b", address, text)
    for number, address in enumerate(addresses, 1):  # In loops over the numbers of machines.
        assert address == f"{addresses[0][:-1]}{number}"
    return text.replace("10.0.0.$m", f"{addresses[0][:-1]}$m")


def typed(block: Block, addresses: Sequence[str], image: str) -> str:
    """Return what is typed for a block."""
    text = block.commands
    for told, instead in REPLACED.items():
        text = text.replace(told, instead.format(image=image) if "{image}" in instead else instead)
    return with_addresses(text, addresses)
