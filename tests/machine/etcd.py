"""The etcd that production wants, for machines: that of Debian 13 runs on Debian 12 too.

Duty: fetch its programs once, with apt and from where this machine has its Debian, and keep them in
.work/systemd. Nothing is installed on this machine.
"""

import shutil
import subprocess
from pathlib import Path

from tests.machine.image import CACHE

PROGRAMS = ("etcd", "etcdctl", "etcdutl")
_RELEASE, _PACKAGES = "trixie", ("etcd-server", "etcd-client")
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def production_etcd() -> Path:
    """Return a folder with etcd 3.5's programs."""
    folder = CACHE / "etcd"
    if not all((folder / name).exists() for name in PROGRAMS):
        scratch = CACHE / "etcd.part"
        shutil.rmtree(scratch, ignore_errors=True)
        _fetch(scratch)
        folder.mkdir(exist_ok=True)
        for name in PROGRAMS:
            (scratch / "root" / "usr" / "bin" / name).replace(folder / name)
        shutil.rmtree(scratch)
    return folder


def _fetch(scratch: Path) -> None:
    """Unpack the packages below `scratch`/root; apt keeps its lists there too."""
    for name in ("lists/partial", "archives/partial", "root"):
        (scratch / name).mkdir(parents=True)
    mirror = _run(
        "apt-get", "indextargets", "--format=$(REPO_URI)", "Created-By: Packages",
        "Codename: bookworm", "Component: main", folder=scratch,
    ).split()[0]  # fmt: skip
    sources = scratch / "sources.list"
    sources.write_text(f"deb [signed-by={_KEYS}] {mirror} {_RELEASE} main\n", "utf-8")
    options = (f"Dir::Etc::sourcelist={sources}", "Dir::Etc::sourceparts=/dev/null",
               f"Dir::State::lists={scratch}/lists", f"Dir::Cache={scratch}",
               "APT::Sandbox::User=root")  # fmt: skip
    apt = ["apt-get", "--quiet", *(f"--option={option}" for option in options)]
    _run(*apt, "update", folder=scratch)
    _run(*apt, "download", *_PACKAGES, folder=scratch)
    for package in scratch.glob("*.deb"):
        _run("dpkg-deb", "--extract", str(package), "root", folder=scratch)


def _run(*argv: str, folder: Path) -> str:
    answer = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    assert answer.returncode == 0, f"{' '.join(argv)}\n{answer.stdout[-2000:]}\n{answer.stderr}"
    return answer.stdout
