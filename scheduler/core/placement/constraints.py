"""Swarm's placement constraints: ``key == value`` and ``key != value``, all of which must hold.

Duty: parse one constraint into a form that compares fast, and read the attributes that it names.
Not here: masks over many nodes (scheduler.core.placement.columns), the filter's words (filters).

Values are compared without case, label keys with case. ``x86_64`` is ``amd64`` and ``aarch64`` is
``arm64``, on both sides. A missing label is empty, so ``!=`` passes. An unknown key never matches,
not even with ``!=``: a misspelt key must not let a task run anywhere.
"""

import functools
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from berth.errors import InvalidRequestError
from berth.model.image import normalised_platform
from berth.model.node import Node
from berth.model.service import Platform

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Attribute = Callable[[Node], str]

NODE_LABEL_PREFIX = "node.labels."
ENGINE_LABEL_PREFIX = "engine.labels."
_PLAIN_SUBJECTS = (
    "node.id",
    "node.hostname",
    "node.ip",
    "node.role",
    "node.platform.os",
    "node.platform.arch",
)
_KEY = re.compile(r"[a-z_][a-z0-9\-_.]+", re.IGNORECASE)
# Swarm's; it keeps characters free that an operator might one day be made of.
_VALUE = re.compile(r"[a-z0-9:\-_\s.*()?+\[\]\\^$|/]+", re.IGNORECASE)
_EXAMPLE = "write KEY==VALUE or KEY!=VALUE, for example node.labels.zone==a"
_CACHE_SIZE = 16_384


@dataclass(frozen=True, slots=True)
class Constraint:
    """One parsed constraint.

    `subject` is the key in canonical form, "" for an unknown key. `value` is in the form in which
    `attribute(subject)` returns a node's. `network` is set exactly for a ``node.ip`` with a subnet.
    """

    subject: str
    is_equal: bool
    value: str
    text: str
    network: Network | None = None

    @property
    def is_label(self) -> bool:
        """True when it compares a label."""
        return self.subject.startswith((NODE_LABEL_PREFIX, ENGINE_LABEL_PREFIX))

    def __str__(self) -> str:
        return self.text

    @property
    def hopeless_because(self) -> str:
        """Why no node of any cluster can ever satisfy it, in a few words; "" where one might."""
        if not self.subject:
            return "unknown key"
        admits_workers = (self.value == "worker") == self.is_equal
        return "" if self.subject != "node.role" or admits_workers else "all nodes are workers"

    def matches(self, node: Node) -> bool:
        """Return whether `node` satisfies it. The filters use masks; this is what they mean."""
        if not self.subject:
            return False
        actual = attribute(self.subject)(node)
        if self.network is not None:
            return is_within(actual, self.network) == self.is_equal
        return (actual == self.value) == self.is_equal


@functools.lru_cache(maxsize=_CACHE_SIZE)
def parse_constraint(text: str) -> Constraint:
    """Parse one constraint in Swarm's grammar.

    Raises:
        InvalidRequestError: it is not one. The message says what to write instead.
    """
    for operator in ("==", "!="):  # In Swarm's order: `a!=b==c` is cut at `==`.
        key, found, value = text.partition(operator)
        if found:
            return _parsed(text, key.strip(), operator, value.strip())
    raise InvalidRequestError(f'invalid constraint "{text}": it has no operator; {_EXAMPLE}')


def _parsed(text: str, key: str, operator: str, value: str) -> Constraint:
    if not _KEY.fullmatch(key):
        raise InvalidRequestError(
            f'invalid constraint "{text}": "{key}" is not a key; use node.id, node.hostname, '
            "node.ip, node.role, node.platform.os, node.platform.arch, node.labels.NAME or "
            "engine.labels.NAME"
        )
    if not _VALUE.fullmatch(value):
        problem = f'"{value}" is not a value' if value else "it has no value"
        raise InvalidRequestError(f'invalid constraint "{text}": {problem}; {_EXAMPLE}')
    subject = _subject(key)
    shown = f"{key}{operator}{value}"
    is_equal = operator == "=="
    if subject == "node.ip":
        return _parsed_address(text, is_equal, value, shown)
    folded = value.casefold()
    if subject == "node.platform.arch":
        folded = normal_architecture(value)
    return Constraint(subject, is_equal, folded, shown)


def _parsed_address(text: str, is_equal: bool, value: str, shown: str) -> Constraint:
    address = normal_address(value)
    if address:
        return Constraint("node.ip", is_equal, address, shown)
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        # Swarm accepts it and then matches no node, for ever; to say so at once is kinder.
        raise InvalidRequestError(
            f'invalid constraint "{text}": "{value}" is neither an address nor a subnet; '
            "write node.ip==10.0.0.7 or node.ip==10.0.0.0/24"
        ) from None
    return Constraint("node.ip", is_equal, str(network), shown, network)


def _subject(key: str) -> str:
    """Return the canonical key: prefixes without case, names of labels with it; "" if unknown."""
    folded = key.lower()
    if folded in _PLAIN_SUBJECTS:
        return folded
    return label_subject(key)


def label_subject(key: str) -> str:
    """Return ``node.labels.NAME`` or ``engine.labels.NAME`` in canonical form, else ""."""
    for prefix in (NODE_LABEL_PREFIX, ENGINE_LABEL_PREFIX):
        if len(key) > len(prefix) and key[: len(prefix)].lower() == prefix:
            return prefix + key[len(prefix) :]
    return ""


def normal_architecture(text: str) -> str:
    """Return Go's word for a processor, in lower case: ``amd64`` for ``x86_64``."""
    return normalised_platform(Platform(architecture=text)).architecture


def normal_address(text: str) -> str:
    """Return one spelling per IP address; "" when `text` is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def is_within(address: str, network: Network) -> bool:
    """Return whether a normal `address` ("" = none known) lies in `network`."""
    return bool(address) and ipaddress.ip_address(address) in network


def raw_label(subject: str) -> Attribute:
    """Return what reads the label of a canonical label subject; "" where a node lacks it."""
    if subject.startswith(NODE_LABEL_PREFIX):
        name = subject[len(NODE_LABEL_PREFIX) :]

        def node_label(node: Node) -> str:
            value = node.spec.labels.get(name)  # An operator's label wins over the agent's own.
            return node.description.agent_labels.get(name, "") if value is None else value

        return node_label
    name = subject[len(ENGINE_LABEL_PREFIX) :]

    def engine_label(node: Node) -> str:
        return node.description.engine_labels.get(name, "")

    return engine_label


_PLAIN_ATTRIBUTES: Mapping[str, Attribute] = {
    "node.id": lambda node: node.id.casefold(),
    "node.hostname": lambda node: node.description.hostname.casefold(),
    "node.ip": lambda node: normal_address(node.description.address),
    "node.role": lambda node: node.spec.role.casefold(),
    "node.platform.os": lambda node: node.description.platform.os.casefold(),
    "node.platform.arch": lambda node: normal_architecture(node.description.platform.architecture),
}


def attribute(subject: str) -> Attribute:
    """Return what reads, in comparable form, the attribute that a canonical subject names."""
    plain = _PLAIN_ATTRIBUTES.get(subject)
    if plain is not None:
        return plain
    raw = raw_label(subject)
    return lambda node: raw(node).casefold()
