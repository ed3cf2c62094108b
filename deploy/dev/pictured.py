"""What of a dashboard its picture shows, as a digest: a picture of other panels is noticed.

Duty: the digest, and docs/pictures/drawn-from.txt, which holds it for each picture.
Not here: drawing (draw_panels, which runs where nothing of Berth is installed).
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

FILE_NAME = "drawn-from.txt"


def digest_of(dashboard: Path) -> str:
    """Return a digest of the panels: titles, kinds, places, units and queries."""
    board = json.loads(dashboard.read_text("utf-8"))
    shown = [
        [
            panel["title"],
            panel["type"],
            panel["gridPos"],
            panel.get("fieldConfig", {}).get("defaults", {}).get("unit"),
            [target["expr"] for target in panel.get("targets", ())],
        ]
        for panel in board["panels"]
    ]
    return hashlib.sha256(json.dumps([board["title"], shown], sort_keys=True).encode()).hexdigest()


def listing(dashboards: Iterable[Path]) -> str:
    """Return what drawn-from.txt says of these dashboards."""
    return "".join(f"{path.stem}.png {digest_of(path)}\n" for path in sorted(dashboards))
