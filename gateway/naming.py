"""Names for services whose users gave none, as a Swarm gives them. Pure.

Duty: two words that are easy to say, drawn by a number. Not here: the number's source, what happens
when the name is taken (routes.services).
"""

from typing import Final

_KINDS: Final = (
    "able", "amber", "bold", "brave", "bright", "brisk", "calm", "clever", "cool", "coral", "crisp",
    "deep", "eager", "early", "fair", "fond", "free", "fresh", "gentle", "glad", "golden", "grand",
    "happy", "hardy", "jolly", "keen", "kind", "lively", "loyal", "lucky", "mellow", "merry",
    "mild", "modest", "neat", "noble", "patient", "plain", "polite", "proud", "quick", "quiet",
    "ready", "robust", "rosy", "sharp", "silent", "silver", "simple", "sleek", "smart", "sober",
    "solid", "steady", "sunny", "swift", "tidy", "tranquil", "upbeat", "vivid", "warm", "wise",
    "witty", "young",
)  # fmt: skip
_THINGS: Final = (
    "anchor", "anvil", "badger", "barge", "beacon", "bear", "birch", "bridge", "brook", "buoy",
    "canal", "cedar", "clipper", "cove", "crane", "current", "delta", "dolphin", "dune", "eagle",
    "falcon", "ferry", "fjord", "gannet", "harbour", "heron", "island", "jetty", "kestrel",
    "lagoon", "lantern", "ledger", "lock", "maple", "marten", "mast", "meadow", "mole", "oak",
    "osprey", "otter", "petrel", "pier", "pilot", "plover", "quay", "raven", "reef", "river",
    "robin", "rudder", "sail", "schooner", "seal", "skiff", "sparrow", "spruce", "swan", "tern",
    "tide", "tug", "walrus", "wharf", "willow",
)  # fmt: skip


def name_of(number: int) -> str:
    """Return a name such as ``brave_otter``; every 4,096 numbers have it in common."""
    kind, thing = number % len(_KINDS), number // len(_KINDS) % len(_THINGS)
    return f"{_KINDS[kind]}_{_THINGS[thing]}"
