"""Several real hosts on one machine, for contract tests, end-to-end tests, demo and benchmarks."""

from tests.hosts.engine import Engine
from tests.hosts.errors import LabError
from tests.hosts.host import Host
from tests.hosts.images import ImageFactory, ImageReference
from tests.hosts.lab import Lab, lab
from tests.hosts.netns import HostNetwork
from tests.hosts.ports import free_port
from tests.hosts.processes import Processes, ProcessHandle
from tests.hosts.prometheus import Prometheus
from tests.hosts.registry import Registry

__all__ = [
    "Engine",
    "Host",
    "HostNetwork",
    "ImageFactory",
    "ImageReference",
    "Lab",
    "LabError",
    "ProcessHandle",
    "Processes",
    "Prometheus",
    "Registry",
    "free_port",
    "lab",
]
