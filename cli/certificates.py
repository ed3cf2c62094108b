"""`berth certificate …`: the authority of a cluster, and certificates for its parts.

Duty: the commands. They work on files alone and ask no scheduler, so that the key of the authority
may stay on a machine of its own.
Not here: what stands in a certificate (berth.certificates).
"""

from pathlib import Path

import click

from berth.access import UserRole
from berth.certificates import (
    AUTHORITY_DAYS,
    CERTIFICATE_DAYS,
    copy_for_docker,
    create_authority,
    issue,
)
from berth.certificates import load_authority as read_authority
from berth.wire.tls import Role
from cli.command import Shell, pass_shell

_FOLDER = click.Path(path_type=Path, file_okay=False)
_ROLES = (*(role.value for role in Role), *(role.value for role in UserRole))


@click.group()
def certificate() -> None:
    """Make certificates for the parts of a cluster.

    With them the parts know each other, and nobody else is let in.
    """


@certificate.command()
@click.argument("folder", type=_FOLDER)
@pass_shell
def authority(shell: Shell, folder: Path) -> None:
    """Make a cluster's authority: ca.crt and ca.key in FOLDER.

    Whoever has ca.key can become any part of the cluster: keep it off the cluster's machines.
    """
    made = create_authority(folder, clock=shell.clock, entropy=shell.entropy)
    shell.out.print(f"{made.cert_file} is good for {AUTHORITY_DAYS} days", soft_wrap=True)


@certificate.command("issue")
@click.argument("role", type=click.Choice(_ROLES))
@click.argument("name")
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...")
@click.option("--authority", "folder", type=_FOLDER, default=Path(), metavar="FOLDER",
              help="Where ca.crt and ca.key are (here).")  # fmt: skip
@click.option("--out", "out_dir", type=_FOLDER, metavar="FOLDER",
              help="Where NAME.crt, NAME.key and ca.crt go (the authority's).")  # fmt: skip
@click.option("--docker", "for_docker", is_flag=True,
              help="Make a folder NAME for DOCKER_CERT_PATH too.")  # fmt: skip
@pass_shell
def issue_certificate(
    shell: Shell,
    role: str,
    name: str,
    addresses: tuple[str, ...],
    folder: Path,
    out_dir: Path | None,
    for_docker: bool,
) -> None:
    """Issue a certificate for one part of a cluster, or for a user.

    ROLE says what its bearer is: a scheduler, an agent, or a user, who as a viewer may look at
    everything, as a deployer change services too, and as an admin do all (client is the same).

    NAME is the scheduler's, the agent's or the user's own, and ADDRESS where it is reached: IP
    addresses and host names without ports. An older certificate of that name is replaced.
    """
    user_role = UserRole(role) if role in set(UserRole) else None
    bearer = Role.CLIENT if user_role is not None else Role(role)
    if for_docker and bearer is not Role.CLIENT:
        raise click.UsageError("--docker is for users: viewer, deployer, admin, client")
    signer = read_authority(folder)
    files = issue(
        signer,
        bearer,
        name,
        addresses,
        out_dir or folder,
        clock=shell.clock,
        entropy=shell.entropy,
        user_role=user_role,
    )
    for file in (files.cert_file, files.key_file, files.ca_file):
        shell.out.print(str(file), soft_wrap=True)
    if for_docker:
        cert_path = copy_for_docker(files)
        shell.err.print(
            f"export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH={cert_path.absolute()} "
            "DOCKER_HOST=tcp://SCHEDULER:7702",
            soft_wrap=True,
        )
    shell.err.print(f"good for {CERTIFICATE_DAYS} days")
