"""The scheduler as a process: what it prints when it may not start, and when it is stopped."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts import free_port


def a_scheduler(*flags: str) -> subprocess.Popen[str]:
    """Start one, for which no etcd is there."""
    argv = [sys.executable, "-m", "scheduler", "--name=s1", f"--etcd=127.0.0.1:{free_port()}",
            "--grpc-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", *flags]  # fmt: skip
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_start_that_is_refused_half_way_says_why_and_nothing_else(tmp_path: Path) -> None:
    with a_scheduler(f"--docker-socket={tmp_path}/missing/docker.sock") as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    *_, logged, told = said.splitlines()
    assert told.startswith("Error: docker_socket: ")
    assert "process_refused" in logged
    assert "Traceback" not in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_signals_stop_it_in_order_though_etcd_is_away(number: signal.Signals) -> None:
    with a_scheduler() as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert "scheduler_started" in first
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "scheduler_stopping" in said
    assert "Traceback" not in said
