"""Docker's ContainerSpec -> the model. Pure.

Duty: read every field that Docker has; what Berth cannot do is a fault with its path, never
silence. Not here: whether values make sense (the control API validates), the way back
(container_out).
"""

from berth.model.service import (
    BindOptions,
    ContainerSpec,
    DnsConfig,
    FileReference,
    HealthCheck,
    Mount,
    MountType,
    Privileges,
    TmpfsOptions,
    Ulimit,
    VolumeOptions,
)
from gateway.translate.reading import Struct

_MODE_DEFAULT = 0o444


def read_container(spec: Struct) -> ContainerSpec:
    """Return what runs."""
    if not spec.text("Image"):
        spec.fault("Image", "is empty; name an image")
    return ContainerSpec(
        image=spec.text("Image"),
        command=spec.texts("Command"),
        args=spec.texts("Args"),
        env=spec.texts("Env"),
        labels=spec.text_map("Labels"),
        workdir=spec.text("Dir"),
        user=spec.text("User"),
        groups=spec.texts("Groups"),
        hostname=spec.text("Hostname"),
        tty=spec.flag("TTY"),
        open_stdin=spec.flag("OpenStdin"),
        read_only=spec.flag("ReadOnly"),
        init=spec.flag_or_none("Init"),
        isolation=spec.text("Isolation"),
        stop_signal=spec.text("StopSignal"),
        stop_grace_s=spec.seconds_or_none("StopGracePeriod"),
        health_check=spec.optional("Healthcheck", _health_check),
        mounts=tuple(_mount(mount) for mount in spec.structs("Mounts")),
        hosts=spec.texts("Hosts"),
        dns=spec.optional("DNSConfig", _dns),
        capabilities_add=spec.texts("CapabilityAdd"),
        capabilities_drop=spec.texts("CapabilityDrop"),
        ulimits=tuple(
            Ulimit(limit.text("Name"), limit.integer("Soft"), limit.integer("Hard"))
            for limit in spec.structs("Ulimits")
        ),
        sysctls=spec.text_map("Sysctls"),
        privileges=spec.optional("Privileges", _privileges),
        oom_score_adj=spec.integer("OomScoreAdj"),
        configs=tuple(_file(found, "Config") for found in spec.structs("Configs")),
        secrets=tuple(_file(found, "Secret") for found in spec.structs("Secrets")),
    )


def _health_check(check: Struct) -> HealthCheck:
    return HealthCheck(
        test=check.texts("Test"),
        interval_s=check.seconds_or_none("Interval"),
        timeout_s=check.seconds_or_none("Timeout"),
        start_period_s=check.seconds_or_none("StartPeriod"),
        start_interval_s=check.seconds_or_none("StartInterval"),
        retries=check.integer_or_none("Retries"),
    )


def _dns(config: Struct) -> DnsConfig:
    return DnsConfig(
        nameservers=config.texts("Nameservers"),
        search=config.texts("Search"),
        options=config.texts("Options"),
    )


def _mount(mount: Struct) -> Mount:
    for name in ("ClusterOptions", "ImageOptions"):
        if mount.has(name):
            mount.fault(name, "is not supported; use a bind mount, a volume or tmpfs")
    kind = mount.word("Type", MountType)
    if kind is None and not mount.text("Type"):
        mount.fault("Type", "is empty; use one of bind, volume, tmpfs")
    return Mount(
        type=kind or MountType.VOLUME,
        source=mount.text("Source"),
        target=mount.text("Target"),
        read_only=mount.flag("ReadOnly"),
        consistency=mount.text("Consistency"),
        bind=mount.optional("BindOptions", _bind),
        volume=mount.optional("VolumeOptions", _volume),
        tmpfs=mount.optional("TmpfsOptions", _tmpfs),
    )


def _bind(options: Struct) -> BindOptions:
    return BindOptions(
        propagation=options.text("Propagation"),
        non_recursive=options.flag("NonRecursive"),
        create_mountpoint=options.flag("CreateMountpoint"),
        read_only_non_recursive=options.flag("ReadOnlyNonRecursive"),
        read_only_force_recursive=options.flag("ReadOnlyForceRecursive"),
    )


def _volume(options: Struct) -> VolumeOptions:
    driver = options.struct("DriverConfig")
    return VolumeOptions(
        no_copy=options.flag("NoCopy"),
        subpath=options.text("Subpath"),
        labels=options.text_map("Labels"),
        driver=driver.text("Name"),
        driver_options=driver.text_map("Options"),
    )


def _tmpfs(options: Struct) -> TmpfsOptions:
    if options.has("Options"):
        options.fault("Options", "are not supported; size and mode are")
    return TmpfsOptions(size_bytes=options.integer("SizeBytes"), mode=options.integer("Mode"))


def _privileges(privileges: Struct) -> Privileges:
    if privileges.has("CredentialSpec"):
        privileges.fault("CredentialSpec", "is for Windows, which Berth does not run")
    selinux = privileges.struct("SELinuxContext")
    return Privileges(
        no_new_privileges=privileges.flag("NoNewPrivileges"),
        seccomp=_seccomp(privileges.struct("Seccomp")),
        apparmor=_apparmor(privileges.struct("AppArmor")),
        selinux_disable=selinux.flag("Disable"),
        selinux_user=selinux.text("User"),
        selinux_role=selinux.text("Role"),
        selinux_type=selinux.text("Type"),
        selinux_level=selinux.text("Level"),
    )


def _seccomp(seccomp: Struct) -> str:
    mode = seccomp.text("Mode")
    if mode in ("", "default"):
        return ""
    if mode == "custom":
        return seccomp.encoded_text("Profile")
    if mode != "unconfined":
        seccomp.fault("Mode", f'"{mode}" does not exist; use default, unconfined or custom')
    return mode


def _apparmor(apparmor: Struct) -> str:
    mode = apparmor.text("Mode")
    if mode not in ("", "default", "disabled"):
        apparmor.fault("Mode", f'"{mode}" does not exist; use default or disabled')
    return "" if mode == "default" else mode


def _file(reference: Struct, kind: str) -> FileReference:
    if reference.has("Runtime"):
        reference.fault("Runtime", "is for Windows, which Berth does not run")
    target = reference.struct("File")
    mode = target.integer_or_none("Mode")
    return FileReference(
        id=reference.text(f"{kind}ID"),
        name=reference.text(f"{kind}Name"),
        target=target.text("Name"),
        uid=target.text("UID"),
        gid=target.text("GID"),
        mode=_MODE_DEFAULT if mode is None else mode,
    )
