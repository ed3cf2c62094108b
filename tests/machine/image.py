"""The image of a bare Debian with systemd, and the Python packages that Berth needs on it.

Duty: make both once and keep them in .work/systemd, so that only the first run takes minutes.
Not here: running a machine (machine).
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

TOP = Path(__file__).parents[2]
CACHE = TOP / ".work" / "systemd"
_PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,openssl,ca-certificates"


def root_archive() -> Path:
    """Return a tar file of a bare Debian 12 with systemd and Python; make it if need be."""
    archive = CACHE / "bookworm.tar"
    if not archive.exists():
        root, unfinished = CACHE / "root", CACHE / "bookworm.tar.part"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        # Without a mirror, debootstrap takes Debian's own.
        _run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", root)
        _run("tar", "-C", root, "-cf", unfinished, ".")
        unfinished.replace(archive)
        shutil.rmtree(root)
    return archive


def wheels() -> Path:
    """Return a folder with every package that Berth runs with, for an install without network."""
    folder = CACHE / "wheels"
    stamp = folder / "complete"
    lock = TOP / "requirements.lock"
    if not stamp.exists() or stamp.read_text("utf-8") != lock.read_text("utf-8"):
        shutil.rmtree(folder, ignore_errors=True)
        project = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]
        # The machine's Python is Debian 12's, whatever runs the tests.
        _run(sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder,
             "--python-version=3.11", "--only-binary=:all:", "--constraint", lock,
             "setuptools", *project["dependencies"])  # fmt: skip
        stamp.write_text(lock.read_text("utf-8"), "utf-8")
    return folder


def _run(*argv: str | Path) -> None:
    answer = subprocess.run([str(part) for part in argv], capture_output=True, text=True)
    assert answer.returncode == 0, f"{argv[0]} failed:\n{answer.stdout[-2000:]}\n{answer.stderr}"
