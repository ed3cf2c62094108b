"""End labs whose owner was killed: `python -m tests.hosts --clean [FOLDER...]`."""

import argparse
import tempfile
from pathlib import Path

from tests.hosts.lab import WORK_DIR_PREFIX, watch
from tests.hosts.ledger import clean, read_records
from tests.hosts.procfs import is_running


def abandoned_labs() -> list[Path]:
    """List the folders of labs among the temporary files whose owner no longer runs."""
    folders = sorted(Path(tempfile.gettempdir()).glob(f"{WORK_DIR_PREFIX}*"))
    owners = ((folder, read_records(folder).owner) for folder in folders)
    return [folder for folder, owner in owners if owner and not is_running(owner)]


def main() -> None:
    """Read the command line and obey it."""
    parser = argparse.ArgumentParser(prog="python -m tests.hosts", description=__doc__)
    verb = parser.add_mutually_exclusive_group(required=True)
    verb.add_argument(
        "--clean",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="end these labs, or all whose owner is gone",
    )
    verb.add_argument("--watch", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch is not None:
        watch(options.watch)
        return
    folders = options.clean or abandoned_labs()
    for folder in folders:
        clean(folder)
        print(f"cleaned up {folder}")
    if not folders:
        print("no lab was left behind")


if __name__ == "__main__":
    main()
