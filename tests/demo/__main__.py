"""`python -m tests.demo`: show the main job on this machine, and leave nothing behind.

Exit code 0 when every step passed, 1 when one failed, 130 after Ctrl-C.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path

from rich.console import Console

from tests.cluster import DOCKER_CLIS, DockerCli, TestCluster
from tests.demo.stage import Stage
from tests.demo.steps import Demo, Images
from tests.hosts import Lab, LabError, lab

_FAILED, _INTERRUPTED = 1, 130
_SVG_WIDTH = 132


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--svg", type=Path, help="also save what is shown as a picture")
    options = parser.parse_args()
    width = None if sys.stdout.isatty() else _SVG_WIDTH
    console = Console(
        highlight=False, record=options.svg is not None, width=width, force_jupyter=False
    )
    stage = Stage(console)
    try:
        _tell(stage)
    except KeyboardInterrupt:
        console.print("\ninterrupted; nothing was left behind")
        return _INTERRUPTED
    except (AssertionError, LabError) as error:
        stage.fail(str(error))
        return _FAILED
    stage.finish()
    if options.svg is not None:
        console.save_svg(str(options.svg), title="make demo")
    return 0


def _tell(stage: Stage) -> None:
    if os.geteuid() != 0:
        raise LabError("the demo makes network namespaces and starts Engines: run it as root")
    stage.console.print("[bold]Berth[/] on three real hosts of this machine: each has an Engine,")
    stage.console.print("a network and a name of its own. Nothing of it stays.")
    with contextlib.ExitStack() as stack:
        with stage.step("Three hosts, a registry, a program in three releases"):
            with stage.waiting("three Docker Engines start"):
                it = stack.enter_context(lab(hosts=3))
            images = _push_images(it)
            for host in it.hosts:
                stage.say(f"{host.name} at {host.address}, Engine at {host.engine.url}")
            stage.fact(f"{images.good}, {images.better.tag} and {images.bad.tag} are pushed")
        with stage.step("etcd, three schedulers, three agents"):
            cluster = TestCluster(it, schedulers=3)
            stack.callback(cluster.close)
            with stage.waiting("a leader is elected and the nodes join"):
                cluster.start()
            stage.command("berth status")
            stage.output(cluster.berth("status").stdout)
            stage.say("Docker's own command speaks to any scheduler from here on:")
            stage.command("export DOCKER_HOST=unix:///run/berth/docker.sock")
            stage.fact(f"{cluster.leader().name} leads; {len(cluster.agents)} nodes are ready")
        Demo(stage, it, cluster, images, _docker(cluster)).run()
        with stage.step("Take everything down"):
            with stage.waiting("hosts, Engines and networks go"):
                stack.close()
            if it.work_dir.exists():
                raise LabError(f"{it.work_dir} is still there")
            stage.fact("no process, network or file is left")


def _docker(cluster: TestCluster) -> DockerCli:
    """Return the newest docker command of this machine, connected to a scheduler that runs."""
    if not DOCKER_CLIS:
        raise LabError("there is no docker command: install docker.io")
    config = cluster.folder / "docker"
    config.mkdir()

    def host() -> str:
        return next(each.docker_host for each in cluster.schedulers if each.is_running)

    return DockerCli(DOCKER_CLIS.get("new") or DOCKER_CLIS["debian"], host, config)


def _push_images(it: Lab) -> Images:
    """Push a web server in versions 1.0 and 1.1, and as 1.2 a program that ends at once."""
    good, better = it.images.web("1.0"), it.images.web("1.1")
    return Images(good, better, it.images.build("crasher", "1.2", repository=good.repository))


if __name__ == "__main__":
    sys.exit(main())
