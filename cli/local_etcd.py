"""The etcd of a local cluster: which program, and with which flags.

Duty: find an etcd, refuse releases that lose data, and say how to start one.
Not here: starting it (cli.local_cluster), speaking to it (the schedulers do).
Invariants (tests/unit/cli/test_local_etcd.py): releases 3.5.0 to 3.5.2 are never started; etcd
listens on the addresses that it is given and nowhere else.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from berth.errors import ConfigError, UnavailableError

_VERSION: Final = re.compile(r"etcd Version: (\d+)\.(\d+)\.(\d+)")
_DIVERGING: Final = frozenset({(3, 5, 0), (3, 5, 1), (3, 5, 2)})
_WATCH_LOSS_FIXED: Final = ((3, 4, 31), (3, 5, 13))
_QUOTA_BYTES: Final = 8 * 1024**3
_ASK_TIMEOUT_S: Final = 10.0

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class EtcdProgram:
    """An etcd that may be started."""

    path: str
    version: Version
    warning: str = ""
    """Why it should not hold anything dear; "" for nothing to say."""

    @property
    def version_text(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))


@dataclass(frozen=True, slots=True)
class EtcdPlace:
    """Name, folder and addresses of one member."""

    name: str
    data_dir: Path
    client_url: str
    peer_url: str


def find_etcd(env: Mapping[str, str] = os.environ) -> EtcdProgram:
    """Return the etcd that `$ETCD_BIN` names, else the one on PATH.

    Raises:
        UnavailableError: there is none. Install one, or name a running one.
        ConfigError: it is of a release that must not be used.
    """
    wanted = env.get("ETCD_BIN", "")
    path = shutil.which(wanted or "etcd", path=env.get("PATH"))
    if path is None:
        if wanted:
            raise ConfigError(f'ETCD_BIN="{wanted}" is not a program: name one, or unset it')
        raise UnavailableError(
            "there is no etcd on PATH: install it (Debian: apt-get install etcd-server), set "
            "ETCD_BIN to the program, or give --etcd URL of one that runs"
        )
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f'"{path} --version" failed: {error}; set ETCD_BIN to an etcd') from error
    return judge_etcd(path, said)


def judge_etcd(path: str, said: str) -> EtcdProgram:
    """Read what `etcd --version` said.

    Raises:
        ConfigError: it is not etcd, is older than 3.4, or is a release that can lose data.
    """
    found = _VERSION.search(said)
    if found is None:
        raise ConfigError(f'"{path} --version" does not name an etcd: set ETCD_BIN to one')
    version: Version = (int(found[1]), int(found[2]), int(found[3]))
    text = ".".join(map(str, version))
    if version in _DIVERGING:
        raise ConfigError(
            f"etcd {text} ({path}) is refused: in 3.5.0 to 3.5.2 members can come to differ after "
            "a crash; install 3.5.3 or newer, or set ETCD_BIN"
        )
    if version < (3, 4, 0):
        raise ConfigError(f"etcd {text} ({path}) is too old: install 3.4 or newer")
    is_lossy = any(fixed[:2] == version[:2] and version < fixed for fixed in _WATCH_LOSS_FIXED)
    warning = ""
    if is_lossy:
        warning = f"etcd {text} is fine for playing; production needs a current 3.5 or 3.6"
    return EtcdProgram(path, version, warning)


def etcd_command(
    program: EtcdProgram, member: EtcdPlace, members: tuple[EtcdPlace, ...] = ()
) -> list[str]:
    """Return the command that starts `member` of a new or existing cluster.

    Args:
        program: from `find_etcd`.
        member: who is started.
        members: the whole cluster, `member` included; default is that member alone.
    """
    cluster = ",".join(f"{each.name}={each.peer_url}" for each in members or (member,))
    progress = "watch-progress-notify-interval"
    if program.version < (3, 6, 0):
        progress = f"experimental-{progress}"
    return [
        program.path,
        f"--name={member.name}",
        f"--data-dir={member.data_dir}",
        f"--listen-client-urls={member.client_url}",
        f"--advertise-client-urls={member.client_url}",
        f"--listen-peer-urls={member.peer_url}",
        f"--initial-advertise-peer-urls={member.peer_url}",
        f"--initial-cluster={cluster}",
        "--initial-cluster-state=new",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=30m",
        f"--quota-backend-bytes={_QUOTA_BYTES}",
        f"--{progress}=10s",
        "--pre-vote",
        "--logger=zap",
        "--log-level=warn",
    ]
