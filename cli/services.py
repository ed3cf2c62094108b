"""`berth service …`: the commands that change services.

Duty: arguments and flags in, one call of the client, what to print.
Not here: flags of specs (cli.spec_flags), lists and logs (cli.services_show), waiting (cli.follow).
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import click

from berth.client import ControlClient
from berth.errors import BerthError, InvalidRequestError
from berth.model.duration import parse_duration_s
from berth.model.image import ImageReference
from berth.model.registry_auth import RegistryAuth
from cli.command import Shell, pass_shell
from cli.flags import Scope, SwitchCommand, click_options
from cli.follow import LiveProgress, PlainProgress, ProgressView, Silent, follow_service
from cli.registry_login import login_for
from cli.spec_flags import FLAGS, given_flags, spec_from_flags, updated_spec
from cli.spec_values import parse_count

_SUFFIX_LENGTH: Final = 6
_NAME_LENGTH_MAX: Final = 50


class _Duration(click.ParamType[float]):
    name = "DURATION"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return parse_duration_s(value) if isinstance(value, str) else float(value)
        except InvalidRequestError as error:
            self.fail(error.message, param, ctx)


DURATION: Final = _Duration()


def waiting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a command has that waits for convergence."""
    for option in (
        click.option(
            "--timeout",
            type=DURATION,
            help="Wait for the tasks no longer than this; the cluster goes on.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="Show no progress."),
        click.option("-d", "--detach", is_flag=True, help="Do not wait for the tasks."),
    ):
        command = option(command)
    return command


def _image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--with-registry-auth",
            is_flag=True,
            help="Send what docker login stored here for the image's registry.",
        ),
        click.option(
            "--no-resolve-image", is_flag=True, help="Do not pin the image to its digest."
        ),
        click.option("--dry-run", is_flag=True, help="Show what would happen; change nothing."),
    ):
        command = option(command)
    return command


def _spec_options(scope: Scope) -> Callable[[click.Command], click.Command]:
    """Add the spec's flags to a command, before its own."""

    def add(command: click.Command) -> click.Command:
        command.params[:0] = click_options(FLAGS, scope)
        return command

    return add


@click.group()
def service() -> None:
    """Create, change, watch and remove services."""


@_spec_options(Scope.CREATE)
@service.command(cls=SwitchCommand, context_settings={"allow_interspersed_args": False})
@click.argument("image")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@waiting_options
@_image_options
@pass_shell
def create(
    shell: Shell,
    /,
    image: str,
    args: tuple[str, ...],
    detach: bool,
    quiet: bool,
    timeout: float | None,
    with_registry_auth: bool,
    no_resolve_image: bool,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Create a service that runs IMAGE with ARGS."""
    given = given_flags(flags)
    if not given.get("name"):
        given["name"] = _name_for(image, shell.entropy.new_id())
    spec = spec_from_flags(image, args, given)
    auth = _login(shell, image) if with_registry_auth else None

    async def work(client: ControlClient) -> None:
        created = await client.create_service(
            spec, registry_auth=auth, no_resolve_image=no_resolve_image, dry_run=dry_run
        )
        _print_warnings(shell, created.warnings)
        if dry_run:
            _print_plan(shell, created.plan)
            return
        shell.out.print(created.id)
        if not detach:
            await _follow(shell, client, created.id, quiet, timeout)

    shell.run(work)


@_spec_options(Scope.UPDATE)
@service.command(cls=SwitchCommand)
@click.argument("name", metavar="SERVICE")
@click.option("--rollback", is_flag=True, help="Go back to the previous spec.")
@waiting_options
@_image_options
@pass_shell
def update(
    shell: Shell,
    /,
    name: str,
    rollback: bool,
    detach: bool,
    quiet: bool,
    timeout: float | None,
    with_registry_auth: bool,
    no_resolve_image: bool,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Change what flags name of a service.

    Its tasks are replaced one after another where the change needs it.
    """
    given = given_flags(flags)
    if rollback and given:
        raise click.UsageError("--rollback cannot be combined with flags that change the spec")

    async def work(client: ControlClient) -> None:
        if rollback:
            await _roll_back(shell, client, name, detach, quiet, timeout, dry_run=dry_run)
            return
        view = await client.get_service(name)
        spec = updated_spec(view.spec, given)
        auth = _login(shell, spec.task.container.image) if with_registry_auth else None
        updated = await client.update_service(
            view.id,
            spec,
            version=view.version,
            registry_auth=auth,
            # As Docker's client does: the image is looked up anew when, and only when, it is named.
            no_resolve_image=no_resolve_image or "image" not in given,
            resolve_image="image" in given and not no_resolve_image,
            dry_run=dry_run,
        )
        _print_warnings(shell, updated.warnings)
        if dry_run:
            _print_plan(shell, updated.plan)
            return
        shell.out.print(name)
        if not detach:
            await _follow(shell, client, view.id, quiet, timeout)

    shell.run(work)


@service.command()
@click.argument("pairs", nargs=-1, required=True, metavar="SERVICE=REPLICAS...")
@waiting_options
@pass_shell
def scale(
    shell: Shell, pairs: tuple[str, ...], detach: bool, quiet: bool, timeout: float | None
) -> None:
    """Set the number of tasks; a job is run anew."""
    wanted = [_scale_pair(pair) for pair in pairs]

    async def work(client: ControlClient) -> None:
        for name, replicas in wanted:
            view = await client.get_service(name)
            kind = view.spec.mode.kind
            if kind.is_global:
                raise InvalidRequestError(
                    f'service "{name}" is {kind.value}; only replicated ones can be scaled'
                )
            spec = updated_spec(view.spec, {"replicas": replicas})
            updated = await client.update_service(
                view.id, spec, version=view.version, no_resolve_image=True
            )
            _print_warnings(shell, updated.warnings)
            shell.out.print(f"{name} scaled to {replicas}")
        if not detach:
            for name, _ in wanted:
                await _follow(shell, client, name, quiet, timeout)

    shell.run(work)


@service.command()
@click.argument("name", metavar="SERVICE")
@click.option("--dry-run", is_flag=True, help="Show what would happen; change nothing.")
@waiting_options
@pass_shell
def rollback(
    shell: Shell, name: str, dry_run: bool, detach: bool, quiet: bool, timeout: float | None
) -> None:
    """Go back to a service's previous spec."""
    shell.run(
        lambda client: _roll_back(shell, client, name, detach, quiet, timeout, dry_run=dry_run)
    )


@service.command("rm")
@click.argument("names", nargs=-1, required=True, metavar="SERVICE...")
@pass_shell
def remove(shell: Shell, names: tuple[str, ...]) -> None:
    """Remove services and stop their tasks."""
    shell.run(lambda client: each_name(names, client.remove_service, shell.out.print))


async def each_name(
    names: Sequence[str],
    call: Callable[[str], Awaitable[object]],
    report: Callable[[str], object],
) -> None:
    """Do `call` for every name, go on after a refusal, and raise all refusals at the end.

    Raises:
        InvalidRequestError: lists what was refused, when there was more than one.
    """
    refused: list[BerthError] = []
    for name in names:
        try:
            await call(name)
        except BerthError as error:
            refused.append(error)
        else:
            report(name)
    if len(refused) == 1:
        raise refused[0]
    if refused:
        raise InvalidRequestError("; ".join(error.message for error in refused))


def _scale_pair(text: str) -> tuple[str, int]:
    name, equals, replicas = text.rpartition("=")
    try:
        if equals and name:
            return name, parse_count(replicas)
    except InvalidRequestError as error:
        raise click.UsageError(f'"{text}": {error.message}') from None
    raise click.UsageError(f'"{text}" is not SERVICE=REPLICAS; write {name or text}=3')


def _name_for(image: str, random_id: str) -> str:
    """Return a name for a service whose user gave none: after its image, and unlike others."""
    stem = ImageReference.from_text(image).repository.rpartition("/")[2]
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem)
    return f"{plain[:_NAME_LENGTH_MAX].strip('-_')}-{random_id[:_SUFFIX_LENGTH]}"


def _login(shell: Shell, image: str) -> RegistryAuth | None:
    auth = login_for(image, shell.env)
    if auth is None:
        shell.warn(f'no credentials are stored here for the registry of "{image}"; none are sent')
    return auth


def _print_warnings(shell: Shell, warnings: Sequence[str]) -> None:
    for warning in warnings:
        shell.warn(warning)


def _print_plan(shell: Shell, plan: Sequence[str]) -> None:
    for line in plan or ("nothing would change",):
        shell.out.print(line)


async def _roll_back(
    shell: Shell,
    client: ControlClient,
    name: str,
    detach: bool,
    quiet: bool,
    timeout: float | None,
    *,
    dry_run: bool,
) -> None:
    answer = await client.rollback_service(name, dry_run=dry_run)
    _print_warnings(shell, answer.warnings)
    if dry_run:
        _print_plan(shell, answer.plan)
        return
    shell.out.print(name)
    if not detach:
        await _follow(shell, client, name, quiet, timeout, is_rollback=True)


async def _follow(
    shell: Shell,
    client: ControlClient,
    name: str,
    quiet: bool,
    timeout_s: float | None,
    *,
    is_rollback: bool = False,
) -> None:
    progress: ProgressView
    if quiet:
        progress = Silent()
    elif shell.out.is_terminal:
        progress = LiveProgress(shell.out)
    else:
        progress = PlainProgress(shell.out.print)
    with progress:
        await follow_service(
            client,
            name,
            clock=shell.clock,
            progress=progress,
            is_rollback=is_rollback,
            timeout_s=timeout_s,
        )
