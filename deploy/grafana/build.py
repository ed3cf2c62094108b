"""Write the dashboards as Grafana's JSON: `python -m deploy.grafana.build`, or `--check` them.

Duty: files. Not here: what is on them (deploy.grafana.boards).
"""

import argparse
import sys
from pathlib import Path

from deploy.grafana.boards import BOARDS

FOLDER = Path(__file__).parent / "dashboards"


def stale_files() -> list[Path]:
    """Return the files that are missing, differ from what the boards say, or belong to none."""
    wanted = {FOLDER / f"{board.uid}.json": board.to_json() for board in BOARDS}
    found = {path: path.read_text("utf-8") for path in FOLDER.glob("*.json")}
    return sorted(
        path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path)
    )


def write_files() -> None:
    """Make the folder hold exactly the boards."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for board in BOARDS:
        (FOLDER / f"{board.uid}.json").write_text(board.to_json(), "utf-8")


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether files are stale")
    if not parser.parse_args().check:
        write_files()
        return 0
    stale = stale_files()
    for path in stale:
        sys.stderr.write(f"{path} is stale: run python -m deploy.grafana.build\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
