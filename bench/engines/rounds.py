"""What the rounds of one run came to: seconds by name, one for each round."""

import sys
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Rounds:
    """Raw samples, and their medians."""

    samples: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.samples.setdefault(name, []).append(value)

    def figures(self) -> dict[str, float]:
        return {name: median(values) for name, values in self.samples.items()}

    def ratio(self, part: str, whole: str) -> float | None:
        """Return the median of each round's own ratio: what else the machine does then, both bear.

        None where one of the two was not measured.
        """
        parts, wholes = self.samples.get(part, []), self.samples.get(whole, [])
        ratios = [a / b for a, b in zip(parts, wholes, strict=False) if b > 0]
        return median(ratios) if ratios else None


def say(text: str) -> None:
    """Tell people how far a run is."""
    print(f"... {text}", file=sys.stderr, flush=True)
