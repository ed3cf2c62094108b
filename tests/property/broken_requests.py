"""Bodies and queries that are wrong in every way that we could think of, made from right ones.

Duty: one valid body for each route that takes one; what may stand in the wrong place; strategies.
Not here: sending them (docker_door), what must hold of the answers (test_docker_requests).
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from tests.property.docker_door import IMAGE
from tests.property.docker_specs import service_specs

Place = tuple[str | int, ...]

_POLICY = {
    "Parallelism": 1, "Delay": 10**9, "FailureAction": "pause", "Monitor": 5 * 10**9,
    "MaxFailureRatio": 0.5, "Order": "stop-first",
}  # fmt: skip
SERVICE: dict[str, Any] = {
    "Name": "new",
    "Labels": {"a": "b"},
    "TaskTemplate": {
        "ContainerSpec": {
            "Image": IMAGE, "Labels": {"c": "d"}, "Command": ["/bin/sh"], "Args": ["-c", "true"],
            "Hostname": "h", "Env": ["A=1"], "Dir": "/d", "User": "1", "Groups": ["2"],
            "Privileges": {
                "SELinuxContext": {"Disable": True, "User": "u", "Role": "r"},
                "Seccomp": {"Mode": "unconfined"},
                "AppArmor": {"Mode": "disabled"}, "NoNewPrivileges": True,
            },
            "Init": True, "StopSignal": "SIGTERM", "TTY": False, "OpenStdin": False,
            "ReadOnly": True,
            "Mounts": [
                {
                    "Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True,
                    "BindOptions": {"Propagation": "rprivate"},
                },
                {
                    "Type": "volume", "Source": "v", "Target": "/v",
                    "VolumeOptions": {
                        "NoCopy": True, "Labels": {"l": "m"},
                        "DriverConfig": {"Name": "local", "Options": {"o": "p"}},
                    },
                },
                {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 4096, "Mode": 511}},
            ],
            "StopGracePeriod": 10**9,
            "Healthcheck": {
                "Test": ["CMD", "true"], "Interval": 10**9, "Timeout": 10**9, "StartPeriod": 10**9,
                "StartInterval": 10**9, "Retries": 3,
            },
            "Hosts": ["10.0.0.1 h"],
            "DNSConfig": {"Nameservers": ["10.0.0.2"], "Search": ["x"], "Options": ["ndots:1"]},
            "Secrets": [], "Configs": [], "Isolation": "default", "Sysctls": {"net.core.x": "1"},
            "CapabilityAdd": ["CAP_CHOWN"], "CapabilityDrop": ["CAP_KILL"],
            "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}], "OomScoreAdj": 5,
        },
        "Resources": {
            "Limits": {"NanoCPUs": 10**9, "MemoryBytes": 2**26, "Pids": 50},
            "Reservations": {
                "NanoCPUs": 10**8, "MemoryBytes": 2**24,
                "GenericResources": [{"DiscreteResourceSpec": {"Kind": "gpu", "Value": 1}}],
            },
        },
        "RestartPolicy": {
            "Condition": "any", "Delay": 10**9, "MaxAttempts": 3, "Window": 10**9,
        },
        "Placement": {
            "Constraints": ["node.labels.a==b"],
            "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.z"}}],
            "MaxReplicas": 2,
            "Platforms": [{"Architecture": "amd64", "OS": "linux"}],
        },
        "Networks": [{"Target": "lan", "Aliases": ["x"], "DriverOpts": {}}],
        "LogDriver": {"Name": "json-file", "Options": {"max-size": "1m"}},
        "ForceUpdate": 1, "Runtime": "container",
    },
    "Mode": {"Replicated": {"Replicas": 2}},
    "UpdateConfig": _POLICY,
    "RollbackConfig": _POLICY,
    "EndpointSpec": {
        "Mode": "vip",
        "Ports": [
            {
                "Name": "p", "Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080,
                "PublishMode": "host",
            },
        ],
    },
}  # fmt: skip
NETWORK: dict[str, Any] = {
    "Name": "new", "CheckDuplicate": True, "Driver": "overlay", "EnableIPv6": False,
    "IPAM": {
        "Driver": "default", "Options": {},
        "Config": [
            {"Subnet": "10.9.0.0/24", "IPRange": "10.9.0.0/25", "Gateway": "10.9.0.1"},
        ],
    },
    "Internal": False, "Attachable": True, "Ingress": False, "ConfigOnly": False,
    "ConfigFrom": {"Network": ""}, "Options": {"com.docker.network.mtu": "1400"},
    "Labels": {"a": "b"}, "Scope": "swarm",
}  # fmt: skip
FILE: dict[str, Any] = {
    "Name": "new", "Data": "eA==", "Labels": {"a": "b"}, "Driver": {"Name": "", "Options": {}},
    "Templating": {"Name": "golang", "Options": {}},
}  # fmt: skip
NODE: dict[str, Any] = {
    "Name": "", "Role": "worker", "Availability": "active", "Labels": {"a": "b"},
}  # fmt: skip

BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "/services/create": ("/services/create", SERVICE),
    "/services/{id}/update": ("/services/web/update", {**SERVICE, "Name": "web"}),
    "/networks/create": ("/networks/create", NETWORK),
    "/configs/create": ("/configs/create", FILE),
    "/configs/{id}/update": ("/configs/conf/update", {"Name": "conf", "Labels": {"a": "b"}}),
    "/secrets/create": ("/secrets/create", FILE),
    "/secrets/{id}/update": ("/secrets/pw/update", {"Name": "pw", "Labels": {"a": "b"}}),
    "/nodes/{id}/update": ("/nodes/n1/update", NODE),
    # What these are asked for is refused whatever it says.
    "/swarm/init": ("/swarm/init", {"ListenAddr": "0.0.0.0:2377"}),
    "/swarm/join": ("/swarm/join", {"RemoteAddrs": ["10.0.0.1:2377"], "JoinToken": "x"}),
    "/swarm/leave": ("/swarm/leave", {}),
    "/swarm/update": ("/swarm/update", {"Name": "default"}),
    "/swarm/unlock": ("/swarm/unlock", {"UnlockKey": "x"}),
    "/containers/create": ("/containers/create", {"Image": "x"}),
    "/containers/{id}/{verb}": ("/containers/x/start", {}),
    "/containers/prune": ("/containers/prune", {}),
    "/images/create": ("/images/create", {}),
    "/images/prune": ("/images/prune", {}),
    "/networks/prune": ("/networks/prune", {}),
    "/volumes/create": ("/volumes/create", {"Name": "x"}),
    "/volumes/prune": ("/volumes/prune", {}),
    "/images/{rest:path}": ("/images/x/push", {}),
    "/commit": ("/commit", {}),
    "/networks/{id}/connect": ("/networks/lan/connect", {"Container": "x"}),
    "/networks/{id}/disconnect": ("/networks/lan/disconnect", {"Container": "x"}),
    "/plugins/{rest:path}": ("/plugins/pull", {}),
    "/build": ("/build", {}),
    "/build/prune": ("/build/prune", {}),
    "/auth": ("/auth", {"username": "x", "password": "y"}),
}
"""By the path of a route: the path that is asked for, and a body that is right."""

WRONG: tuple[Any, ...] = (
    None, True, -1, 2**31, 2**63, 10**400, 0.5, 1e308, "", "\0", "\ud800", "x" * 70_000, [], [None],
    ["x"], {}, {"": ""}, {"x": {}},
)  # fmt: skip
"""What may stand where something else is expected."""

TEXTS = (
    "", "0", "-1", "1", "true", "x", "nan", "-inf", "1e400", "9" * 5000, "\0", "ü", "[", "{}", "[]",
    "null", "{", '{"name":["web"]}', '{"name":{"web":true}}', '{"name":"web"}', '{"name":[1]}',
    '{"name":{"web":1}}', '{"nosuch":["x"]}', '{"label":["a=b"]}', '{"id":["\\ud800"]}',
    '{"service":["nosuch"],"node":["nosuch"]}', '{"desired-state":["odd"]}', '{"name":null}',
    '{"type":["custom"],"scope":["odd"]}', '{"dangling":["maybe"]}', "[" * 50_000, '{"name":[]}',
)  # fmt: skip
PARAMETERS = (
    "filters", "version", "rollback", "registryAuthFrom", "status", "insertDefaults", "force",
    "since", "until", "tail", "stdout", "stderr", "follow", "details", "timestamps", "all", "odd",
)  # fmt: skip
NAMES = (
    "web",
    "conf",
    "pw",
    "lan",
    "n1",
    "scheduler:s1",
    "nosuch",
    "\0",
    "ü",
    "x" * 5000,
    "..",
    "a:b",
)


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Yield where something stands in a body, the whole of it first."""
    yield at
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    for key, each in inner:
        yield from places(each, (*at, key))


def with_value(body: Any, at: Place, value: Any) -> Any:
    """Return a copy of `body` with something else at one place."""
    if not at:
        return value
    changed = copy.deepcopy(body)
    owner = changed
    for key in at[:-1]:
        owner = owner[key]
    owner[at[-1]] = value
    return changed


def encoded(body: Any) -> bytes:
    """Return JSON as clients write it."""
    return json.dumps(body).encode()


@st.composite
def broken_bodies(draw: st.DrawFn, right: Any) -> bytes:
    """Return a body with one to three things in wrong places, and then perhaps no JSON at all."""
    body = right
    if right.get("TaskTemplate") and draw(st.booleans()):
        body = draw(service_specs)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.sampled_from(list(places(body))))
        body = with_value(body, at, draw(st.sampled_from(WRONG)))
    text = encoded(body)
    cut = draw(st.integers(0, len(text)))
    junk = draw(st.binary(max_size=4))
    match draw(
        st.sampled_from(["as it is"] * 4 + ["cut", "junk", "NaN", "twice", "deep", "utf-16"])
    ):
        case "cut":
            return text[:cut]
        case "junk":
            return text[:cut] + junk + text[cut:]
        case "NaN":
            word = draw(st.sampled_from([b": NaN,", b": -Infinity,", b": 1e999,", b": 01,"]))
            return text.replace(b",", word, 1)
        case "twice":
            return text.replace(b"{", b'{"Name": 1, "name": null, "NAME": [],', 1)
        case "deep":
            return b'{"a":' * 20_000 + text
        case "utf-16":
            return text.decode().encode("utf-16")
    return text


queries = st.dictionaries(st.sampled_from(PARAMETERS), st.sampled_from(TEXTS), max_size=3)
content_types = st.sampled_from(
    [b"application/json"] * 5
    + [
        b"application/json; charset=utf-8",
        b"APPLICATION/JSON",
        b"text/plain",
        b"",
        b"\xff",
        b"a/b;",
    ]
)
auth_headers = st.one_of(
    st.none(),
    st.sampled_from([b"e30=", b"%%%", b"W10=", b"\xff", b"eyJ1c2VybmFtZSI6ICJcdWQ4MDAifQ=="]),
    st.just(b"W1tb" * 10_000),
)
