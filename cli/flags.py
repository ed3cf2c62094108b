"""What a flag of `berth service create` or `update` is: its names, its reader, what it changes.

Duty: the forms of flags (scalar, switch, list with its -add and -rm, map), each a pure change of a
spec; the click options made from them.
Not here: the flags themselves (cli.spec_flags), reading single values (cli.spec_values).
Invariant: create is update of an empty spec; a flag changes nothing but what it names.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, TypeVar

import click

from berth.errors import InvalidRequestError
from berth.model.service import (
    DnsConfig,
    HealthCheck,
    LogDriver,
    Privileges,
    ServiceSpec,
    UpdatePolicy,
)

Change = Callable[[ServiceSpec, Any], ServiceSpec]
T = TypeVar("T")

_EMPTY: Final[Mapping[str, Callable[[], Any]]] = {
    "dns": DnsConfig,
    "health_check": HealthCheck,
    "log_driver": LogDriver,
    "privileges": Privileges,
    "rollback": UpdatePolicy,
    "update": UpdatePolicy,
}
"""What stands for a part of a spec that its user has not said, once a flag says some of it."""


class Scope(Enum):
    """Which commands have a flag."""

    CREATE = "create"
    UPDATE = "update"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag.

    `read` is None for a switch; a reversible one has its ``--no-`` form. `is_many` flags may be
    repeated and change by a tuple of values.
    """

    names: tuple[str, ...]
    change: Change
    help: str
    read: Callable[[str], Any] | None = None
    metavar: str = "TEXT"
    is_many: bool = False
    scope: Scope = Scope.BOTH
    is_reversible: bool = False

    @property
    def key(self) -> str:
        """The name of its parameter."""
        return self.names[0].removeprefix("--").replace("-", "_")

    def belongs_to(self, scope: Scope) -> bool:
        """Return whether the command `scope` has it."""
        return self.scope in (scope, Scope.BOTH)


def changed(value: Any, path: str, change: Callable[[Any], Any]) -> Any:
    """Return `value` with what stands at the dotted `path` changed."""
    head, _, rest = path.partition(".")
    inner = getattr(value, head)
    if rest:
        new = changed(_EMPTY[head]() if inner is None else inner, rest, change)
    else:
        new = change(inner)
    return replace(value, **{head: new})


def scalar(
    names: str,
    path: str,
    read: Callable[[str], Any],
    help: str,
    *,
    metavar: str = "TEXT",
    scope: Scope = Scope.BOTH,
) -> Flag:
    """A flag that sets what stands at `path`."""
    return Flag(
        tuple(names.split()),
        lambda spec, value: changed(spec, path, lambda _: value),
        help,
        read,
        metavar,
        scope=scope,
    )


def switch(names: str, path: str, help: str) -> Flag:
    """A flag that sets a truth at `path`; ``--x=false`` and ``--no-x`` take it back."""
    return Flag(
        tuple(names.split()),
        lambda spec, value: changed(spec, path, lambda _: value),
        help,
        is_reversible=True,
    )


@dataclass(frozen=True, slots=True)
class ListForm:
    """How the items of a list flag are read, told apart and removed.

    `key` of an added item replaces one of the same key; `matches` says which items the text of a
    -rm flag names.
    """

    read: Callable[[str], Any]
    key: Callable[[Any], Any]
    matches: Callable[[Any, str], bool]
    check_removal: Callable[[str], Any] = str


def plain_list(read: Callable[[str], str] = str) -> ListForm:
    """Items are texts, each there at most once."""
    return ListForm(read, lambda item: item, lambda item, text: bool(item == read(text)), read)


def list_flags(
    stem: str,
    path: str,
    form: ListForm,
    help: str,
    *,
    metavar: str = "TEXT",
    removal_metavar: str = "",
    short: str = "",
) -> Iterator[Flag]:
    """The three flags of a list: ``--x`` at create, ``--x-add`` and ``--x-rm`` at update."""

    def add(spec: ServiceSpec, values: Any) -> ServiceSpec:
        found: ServiceSpec = changed(
            spec, path, lambda items: merged(items, _flat(values), form.key)
        )
        return found

    def remove(spec: ServiceSpec, texts: Any) -> ServiceSpec:
        def kept(items: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(i for i in items if not any(form.matches(i, text) for text in texts))

        found: ServiceSpec = changed(spec, path, kept)
        return found

    def checked(text: str) -> str:
        form.check_removal(text)
        return text

    names = (f"--{stem}", *([short] if short else []))
    yield Flag((f"--{stem}-rm",), remove, f"Take away: {help}", checked,
               removal_metavar or metavar, True, Scope.UPDATE)  # fmt: skip
    yield Flag((f"--{stem}-add",), add, f"Add or change: {help}", form.read, metavar, True,
               Scope.UPDATE)  # fmt: skip
    yield Flag(names, add, _one_of_many(help), form.read, metavar, True, Scope.CREATE)


def map_flags(
    stem: str,
    path: str,
    read: Callable[[str], tuple[str, Any]],
    help: str,
    *,
    metavar: str = "KEY=VALUE",
    short: str = "",
) -> Iterator[Flag]:
    """The three flags of a map: ``--x k=v``, ``--x-add k=v``, ``--x-rm k``."""

    def add(spec: ServiceSpec, pairs: Any) -> ServiceSpec:
        found: ServiceSpec = changed(spec, path, lambda old: {**old, **dict(pairs)})
        return found

    def remove(spec: ServiceSpec, keys: Any) -> ServiceSpec:
        def kept(old: Mapping[str, Any]) -> dict[str, Any]:
            return {key: value for key, value in old.items() if key not in keys}

        found: ServiceSpec = changed(spec, path, kept)
        return found

    names = (f"--{stem}", *([short] if short else []))
    yield Flag((f"--{stem}-rm",), remove, f"Take away: {help}", str, "KEY", True, Scope.UPDATE)
    yield Flag((f"--{stem}-add",), add, f"Add or change: {help}", read, metavar, True,
               Scope.UPDATE)  # fmt: skip
    yield Flag(names, add, _one_of_many(help), read, metavar, True, Scope.CREATE)


def _one_of_many(help: str) -> str:
    """Return the words of a flag that is given once for each item."""
    return f"{help[0].upper()}{help[1:]}; may be repeated"


def merged(items: Sequence[T], new: Sequence[T], key: Callable[[T], Any]) -> tuple[T, ...]:
    """Return `items` followed by `new`, where one of the same key takes its forerunner's place."""
    found = {key(item): item for item in items}
    found.update((key(item), item) for item in new)
    return tuple(found.values())


def _flat(values: Sequence[Any]) -> list[Any]:
    """One text may stand for several items, as a range of ports does."""
    return [item for value in values for item in (value if isinstance(value, tuple) else (value,))]


class _Text(click.ParamType[Any]):
    """Reads a flag's text by the flag's own reader."""

    def __init__(self, read: Callable[[str], Any], metavar: str) -> None:
        self._read = read
        self.name = metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._read(value) if isinstance(value, str) else value
        except InvalidRequestError as error:
            self.fail(error.message, param, ctx)


def click_options(flags: Sequence[Flag], scope: Scope) -> list[click.Option]:
    """Return the click options of `flags` for the command `scope`, by name."""
    options = []
    for flag in sorted((f for f in flags if f.belongs_to(scope)), key=lambda f: f.names[0]):
        if flag.read is None:
            long, *rest = flag.names
            name = f"{long}/--no-{long.removeprefix('--')}" if flag.is_reversible else long
            declared = [name, *rest, flag.key]
            options.append(click.Option(declared, is_flag=True, default=None, help=flag.help))
        else:
            options.append(
                click.Option(
                    [*flag.names, flag.key],
                    type=_Text(flag.read, flag.metavar),
                    metavar=flag.metavar,
                    multiple=flag.is_many,
                    default=None,
                    help=flag.help,
                )
            )
    return options


class SwitchCommand(click.Command):
    """A command that also takes ``--switch=true`` and ``--switch=false``, as Docker's does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Rewrite such arguments, up to ``--``, before click reads them."""
        switches = {
            name
            for param in self.params
            if isinstance(param, click.Option) and param.is_flag
            for name in param.opts
            if name.startswith("--")
        }
        end = args.index("--") if "--" in args else len(args)
        rewritten = [self._rewritten(arg, switches) for arg in args[:end]]
        kept = [arg for arg in rewritten if arg]
        return super().parse_args(ctx, kept + args[end:])

    def _rewritten(self, arg: str, switches: set[str]) -> str:
        name, equals, value = arg.partition("=")
        if not equals or name not in switches:
            return arg
        if value.lower() in ("true", "1"):
            return name
        if value.lower() in ("false", "0"):
            opposite = f"--no-{name.removeprefix('--')}"
            has_opposite = any(opposite in param.secondary_opts for param in self.params)
            return opposite if has_opposite else ""  # An absent switch is false already.
        return arg


def one_of(kind: Any) -> Callable[[str], Any]:
    """Return a reader of the values of the enumeration `kind`."""

    def parse(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            allowed = ", ".join(member.value for member in kind)
            raise InvalidRequestError(f'"{text}" is not one of {allowed}') from None

    return parse
