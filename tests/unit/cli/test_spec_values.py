import pytest

from berth.errors import InvalidRequestError
from berth.model.service import (
    BindOptions,
    Device,
    GpuRequest,
    Mount,
    MountType,
    NetworkAttachment,
    PortSpec,
    PublishMode,
    TmpfsOptions,
    Ulimit,
    VolumeOptions,
)
from cli import spec_values as read


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        (
            "type=bind,source=/a,target=/b,readonly",
            Mount(MountType.BIND, "/a", "/b", read_only=True),
        ),
        ("type=bind,src=/a,dst=/b,ro=false", Mount(MountType.BIND, "/a", "/b")),
        ("source=data,target=/d", Mount(MountType.VOLUME, "data", "/d")),
        ("target=/d", Mount(MountType.VOLUME, "", "/d")),
        (
            "type=bind,source=/a,target=/b,bind-propagation=rshared,bind-recursive=readonly",
            Mount(
                MountType.BIND,
                "/a",
                "/b",
                bind=BindOptions("rshared", read_only_force_recursive=True),
            ),
        ),
        (
            "type=volume,source=d,target=/d,volume-driver=nfs,volume-opt=type=nfs,"
            '"volume-opt=o=addr=1,rw",volume-label=a=b,volume-nocopy,volume-subpath=x',
            Mount(
                MountType.VOLUME,
                "d",
                "/d",
                volume=VolumeOptions(
                    True, "x", {"a": "b"}, "nfs", {"type": "nfs", "o": "addr=1,rw"}
                ),
            ),
        ),
        (
            "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1777",
            Mount(MountType.TMPFS, "", "/t", tmpfs=TmpfsOptions(1024 * 1024, 0o1777)),
        ),
    ],
)
def test_mounts(text: str, mount: Mount) -> None:
    assert read.parse_mount(text) == mount


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", (PortSpec(target_port=80),)),
        ("8080:80", (PortSpec(target_port=80, published_port=8080),)),
        ("53:53/udp", (PortSpec(protocol="udp", target_port=53, published_port=53),)),
        (
            "8000-8001:80-81",
            (
                PortSpec(target_port=80, published_port=8000),
                PortSpec(target_port=81, published_port=8001),
            ),
        ),
        (
            "published=8080,target=80,protocol=udp,mode=ingress",
            (PortSpec("", "udp", 80, 8080, PublishMode.INGRESS),),
        ),
    ],
)
def test_ports(text: str, ports: tuple[PortSpec, ...]) -> None:
    assert read.parse_ports(text) == ports


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("all", (GpuRequest(count=-1),)),
        ("2", (GpuRequest(count=2),)),
        ("device=0,1", (GpuRequest(device_ids=("0", "1")),)),
        (
            "count=2,driver=nvidia,capabilities=compute,utility",
            (GpuRequest("nvidia", 2, capabilities=("gpu", "compute", "utility")),),
        ),
        ("", ()),
    ],
)
def test_gpus(text: str, gpus: tuple[GpuRequest, ...]) -> None:
    assert read.parse_gpus(text) == gpus


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("/dev/a", Device("/dev/a", "/dev/a")),
        ("/dev/a:/dev/b", Device("/dev/a", "/dev/b")),
        ("/dev/a:rw", Device("/dev/a", "/dev/a", "rw")),
        ("/dev/a:/dev/b:r", Device("/dev/a", "/dev/b", "r")),
    ],
)
def test_devices(text: str, device: Device) -> None:
    assert read.parse_device(text) == device


def test_small_values() -> None:
    assert read.parse_host("db:10.0.0.1") == "10.0.0.1 db"
    assert read.parse_host("db:::1") == "::1 db"
    assert read.parse_host("db=[::1]") == "::1 db"
    assert read.parse_ulimit("nofile=10:20") == Ulimit("nofile", 10, 20)
    assert read.parse_ulimit("core=-1") == Ulimit("core", -1, -1)
    assert read.parse_quantity("gpu=2") == ("gpu", 2)
    assert read.parse_pair("a=b=c") == ("a", "b=c")
    assert read.parse_pair("a") == ("a", "")
    assert read.parse_preference("spread=node.labels.a") == "node.labels.a"
    assert read.parse_words("sh -c 'a b'") == ("sh", "-c", "a b")
    assert read.parse_network("front") == NetworkAttachment("front")
    assert read.parse_network("name=front,alias=a,alias=b,driver-opt=x=y") == NetworkAttachment(
        "front", ("a", "b"), {"x": "y"}
    )
    assert read.parse_port_key("80/udp") == (80, "udp")
    assert read.parse_ratio("0.25") == 0.25


@pytest.mark.parametrize(
    ("parse", "text", "words"),
    [
        (read.parse_count, "-1", "0 or more"),
        (read.parse_integer, "x", "not a whole number"),
        (read.parse_ratio, "x", "not a number"),
        (read.parse_words, "a 'b", "quote it as in a shell"),
        (read.parse_pair, "=b", "has no key"),
        (read.parse_preference, "binpack", "write spread="),
        (read.parse_host, "db", "write NAME:ADDRESS"),
        (read.parse_ulimit, "nofile", "write nofile=1024:2048"),
        (read.parse_device, "a:b:c:d", "is not a device"),
        (read.parse_gpus, "color=red", "is unknown in --gpus"),
        (read.parse_gpus, "some", "write all, 2 or device=0,1"),
        (read.parse_quantity, "gpu", '"gpu" is not KIND=COUNT; write gpu=2'),
        (read.parse_quantity, "gpu=two", '"gpu=two" is not KIND=COUNT; write gpu=2'),
        (read.parse_network, "name=a,mtu=1", "is unknown in --network"),
        (read.parse_ports, "1.2.3.4:80:80", "names a host address"),
        (read.parse_ports, "http", "is not a port"),
        (read.parse_ports, "80-90:80", "two ranges of different length"),
        (read.parse_ports, "90-80", "is not a range of ports"),
        (read.parse_ports, "published=80", "add target=PORT"),
        (read.parse_ports, "target=80,mode=mesh", "is not one of host, ingress"),
        (read.parse_ports, "target=80,color=red", "is unknown in --publish"),
        (read.parse_port_key, "8080:80", "write the target port alone"),
        (read.parse_mount, "type=bind,source=/a", "add target=PATH"),
        (read.parse_mount, "type=disk,target=/a", 'type "disk" is not one of bind, volume, tmpfs'),
        (read.parse_mount, "target=/a,color=red", "is unknown in --mount"),
        (read.parse_mount, "target", "has no value"),
        (read.parse_mount, "target=/a,tmpfs-mode=9", "octal"),
        (read.parse_mount, "type=bind,source=/a,target=/a,tmpfs-size=1m", "options of a tmpfs"),
        (read.parse_mount, "target=/a,readonly=perhaps", "neither true nor false"),
    ],
)
def test_refusals_show_how_to_write_it(parse, text: str, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidRequestError, match=words):
        parse(text)
