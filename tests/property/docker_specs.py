"""Specs as Docker's clients send them, for property tests.

Duty: ServiceSpecs in the form in which Go writes them: fields with `omitempty` are absent or not
empty, pointers are absent or anything.
Not here: what is wrong with a spec (tests/unit/gateway/test_app.py).
"""

import base64
from typing import Any

from hypothesis import strategies as st

text = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=8)
texts = st.lists(text, min_size=1, max_size=3)
text_map = st.dictionaries(text, text, max_size=3)
some_map = st.dictionaries(text, text, min_size=1, max_size=3)
count = st.integers(1, 2**40)
zero_or_count = st.integers(0, 2**40)
duration_ns = st.one_of(st.just(0), st.integers(1, 10**15))
"""Up to eleven days, to the nanosecond."""
true = st.just(True)


def struct(required: dict[str, Any] | None = None, **optional: Any) -> Any:
    """Return objects with all that is required and any of the rest."""
    return st.fixed_dictionaries(required or {}, optional=optional)


bind = struct(
    Propagation=text,
    NonRecursive=true,
    CreateMountpoint=true,
    ReadOnlyNonRecursive=true,
    ReadOnlyForceRecursive=true,
)
driver_config = struct({"Name": text}, Options=some_map)
volume = struct(NoCopy=true, Labels=some_map, Subpath=text, DriverConfig=driver_config)
tmpfs = struct(SizeBytes=count, Mode=st.integers(1, 0o7777))
mount = struct(
    {"Type": st.sampled_from(["bind", "volume", "tmpfs"])},
    Source=text,
    Target=text,
    ReadOnly=true,
    Consistency=text,
    BindOptions=bind,
    VolumeOptions=volume,
    TmpfsOptions=tmpfs,
)
health = struct(
    Test=texts,
    Interval=duration_ns,
    Timeout=duration_ns,
    StartPeriod=duration_ns,
    StartInterval=duration_ns,
    Retries=zero_or_count,
)
profile = text.filter(lambda found: found != "unconfined").map(
    lambda found: base64.b64encode(found.encode()).decode()
)
privileges = struct(
    SELinuxContext=struct({"Disable": true}, User=text, Role=text, Type=text, Level=text),
    Seccomp=st.one_of(
        st.just({"Mode": "unconfined"}),
        st.fixed_dictionaries({"Mode": st.just("custom"), "Profile": profile}),
    ),
    AppArmor=st.just({"Mode": "disabled"}),
    NoNewPrivileges=true,
)


def file_reference(kind: str) -> Any:
    """Return references to configs or secrets."""
    file = {"Name": text, "UID": text, "GID": text, "Mode": st.integers(0, 0o777)}
    return st.fixed_dictionaries(
        {"File": st.fixed_dictionaries(file), f"{kind}ID": text, f"{kind}Name": text}
    )


ulimit = st.fixed_dictionaries(
    {"Name": text, "Soft": st.integers(-1, 2**40), "Hard": st.integers(-1, 2**40)}
)


def lists_of(item: Any) -> Any:
    """Return lists that are not empty."""
    return st.lists(item, min_size=1, max_size=2)


container = struct(
    {"Image": text},
    Labels=some_map,
    Command=texts,
    Args=texts,
    Hostname=text,
    Env=texts,
    Dir=text,
    User=text,
    Groups=texts,
    Privileges=privileges,
    Init=st.booleans(),
    StopSignal=text,
    TTY=true,
    OpenStdin=true,
    ReadOnly=true,
    # Two of one target are refused, so nobody can have stored them.
    Mounts=st.lists(mount, min_size=1, max_size=2, unique_by=lambda m: m.get("Target")),
    StopGracePeriod=duration_ns,
    Healthcheck=health,
    Hosts=texts,
    DNSConfig=struct(Nameservers=texts, Search=texts, Options=texts),
    Secrets=lists_of(file_reference("Secret")),
    Configs=lists_of(file_reference("Config")),
    Isolation=text,
    Sysctls=some_map,
    CapabilityAdd=texts,
    CapabilityDrop=texts,
    Ulimits=lists_of(ulimit),
    OomScoreAdj=st.integers(1, 1000),
)
generic = st.dictionaries(text, count, min_size=1, max_size=2).map(
    lambda found: [
        {"DiscreteResourceSpec": {"Kind": kind, "Value": value}} for kind, value in found.items()
    ]
)
resources = st.fixed_dictionaries(
    {
        "Limits": struct(NanoCPUs=count, MemoryBytes=count, Pids=count),
        "Reservations": struct(NanoCPUs=count, MemoryBytes=count, GenericResources=generic),
    }
)
restart = struct(
    {"Condition": st.sampled_from(["none", "on-failure", "any"])},
    Delay=duration_ns,
    MaxAttempts=zero_or_count,
    Window=duration_ns,
)
placement = struct(
    Constraints=texts,
    Preferences=lists_of(text.map(lambda found: {"Spread": {"SpreadDescriptor": found}})),
    MaxReplicas=count,
    Platforms=lists_of(struct({"OS": text}, Architecture=text)),
)
network = struct({"Target": text}, Aliases=texts, DriverOpts=some_map)
task = struct(
    {
        "ContainerSpec": container,
        "Resources": resources,
        "Placement": placement,
        "ForceUpdate": zero_or_count,
        "Runtime": st.just("container"),
    },
    RestartPolicy=restart,
    Networks=lists_of(network),
    LogDriver=struct({"Name": text}, Options=some_map),
)
update = struct(
    {"Parallelism": zero_or_count, "MaxFailureRatio": st.floats(0, 1)},
    Delay=duration_ns.filter(bool),  # Swarm leaves 0 out, and so do we.
    Monitor=duration_ns,
    FailureAction=st.sampled_from(["pause", "continue", "rollback"]),
    Order=st.sampled_from(["stop-first", "start-first"]),
)
mode = st.one_of(
    zero_or_count.map(lambda found: {"Replicated": {"Replicas": found}}),
    st.just({"Global": {}}),
    st.just({"GlobalJob": {}}),
    st.tuples(count, count).map(
        lambda found: {"ReplicatedJob": {"MaxConcurrent": found[0], "TotalCompletions": found[1]}}
    ),
)
port = struct(
    {
        "Protocol": st.sampled_from(["tcp", "udp", "sctp"]),
        "TargetPort": st.integers(1, 65535),
        "PublishMode": st.sampled_from(["host", "ingress"]),
    },
    Name=text,
    PublishedPort=st.integers(1, 65535),
)
service_specs = struct(
    {
        "Name": text,
        "Labels": text_map,
        "TaskTemplate": task,
        "Mode": mode,
        "EndpointSpec": struct(Mode=st.sampled_from(["vip", "dnsrr"]), Ports=lists_of(port)),
    },
    UpdateConfig=update,
    RollbackConfig=update,
)
"""What the docker CLI may send to create a service."""
