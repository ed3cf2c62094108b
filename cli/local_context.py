"""Let every later `berth` command find the local cluster.

Duty: write the user's context file when the cluster is up, remove it when it is down, and find the
cluster's folder by it.
Not here: the file's form (cli.connection).
Invariant (tests/unit/cli/test_local_context.py): a context file that names another cluster is the
user's, and is neither replaced nor removed.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from berth.errors import InvalidRequestError
from berth.wire.tls import TlsSettings
from cli.connection import TlsFiles, context_path, write_context
from cli.local_record import Folders, load_record


def take_context(
    folders: Folders,
    schedulers: Sequence[str],
    tls: TlsSettings,
    env: Mapping[str, str] = os.environ,
) -> bool:
    """Let the context file name this cluster; return False when it is another cluster's."""
    path = context_path(env)
    if path.exists() and not _is_ours(path, folders):
        return False
    files = TlsFiles(str(tls.ca_file), str(tls.cert_file), str(tls.key_file))
    write_context(path, schedulers, tls=files)
    return True


def drop_context(folders: Folders, env: Mapping[str, str] = os.environ) -> None:
    """Remove the context file if it names this cluster."""
    path = context_path(env)
    if _is_ours(path, folders):
        path.unlink()


def folders_to_end(env: Mapping[str, str] = os.environ) -> Folders:
    """Return where the one local cluster that is up lives, when nobody says where.

    That is the usual folder, or the one that `berth up --work-dir` noted in the context file.

    Raises:
        InvalidRequestError: there is a cluster in each of them.
    """
    usual = Folders.default(env)
    noted = _noted_folders(context_path(env))
    if noted is None or noted == usual or not load_record(noted).processes:
        return usual
    if load_record(usual).processes:
        raise InvalidRequestError(
            f"two local clusters are up, in {usual.work_dir} and in {noted.work_dir}: say which "
            "one by --work-dir"
        )
    return noted


def _noted_folders(path: Path) -> Folders | None:
    """Return whose work folder the certificates that a context file names are in."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        authority = Path(found["tls"]["ca_file"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    folders = Folders(authority.parent.parent)
    return folders if _is_ours(path, folders) and folders.record.is_file() else None


def _is_ours(path: Path, folders: Folders) -> bool:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        return Path(found["tls"]["ca_file"]) == folders.tls / "ca.crt"
    except (OSError, ValueError, KeyError, TypeError):
        return False
