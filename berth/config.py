"""Settings of a program: one TOML file, overridden by the environment, overridden by flags.

Duty: fill a frozen dataclass from the three, and report every fault at once, each with its key, its
value and the fix. Relations between settings are the dataclass's own (`__post_init__` or
`validate()`, raising an error with `faults`, or ValueError).
Not here: which settings there are (scheduler.config, nodeagent.config), reading single values
(berth.config_values).

Names: the key ``tls.cert_file`` is ``[tls] cert_file`` in the file, ``BERTH_TLS_CERT_FILE`` in the
environment, and ``tls.cert_file`` or ``tls_cert_file`` among the flags. Hyphens count as
underscores. A flag whose value is None or an empty tuple was not given.
"""

import dataclasses
import difflib
import tomllib
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from berth.config_values import WrongValueError, bare_type, convert, is_table
from berth.errors import BerthError, ConfigError, Fault

T = TypeVar("T")

_FOREIGN_NAMES = frozenset({"EPOCH", "TASK_ID", "NODE_ID", "CONTEXT", "CONFIG", "CHECK_CONFIG"})
"""Names after the prefix that other parts of Berth own; never taken for a misspelt setting."""
_TYPO_LIKENESS = 0.85
_SECRET_WORDS = ("password", "token", "secret", "private", "credential", "passphrase")


@dataclass(frozen=True, slots=True)
class _Given:
    """A value somebody gave, and where."""

    value: object
    source: str


def load_settings(
    cls: type[T],
    *,
    file: Path | None,
    env: Mapping[str, str],
    env_prefix: str = "BERTH_",
    flags: Mapping[str, object],
) -> T:
    """Return the settings `cls` from file, environment and flags, the later ones winning.

    Args:
        cls: a frozen dataclass; nested dataclasses are tables.
        file: a TOML file, or None for none.
        env: the environment; names without the prefix are ignored.
        env_prefix: what its names begin with.
        flags: values by key; None and () mean "not given".

    Raises:
        ConfigError: lists every fault. Mend them all and start again.
    """
    leaves = dict(_leaves(cls, ()))
    faults: list[Fault] = []
    given: dict[str, _Given] = {}
    if file is not None:
        _read_table(cls, _read_file(file), (), str(file), given, faults)
    _read_environment(env, env_prefix, leaves, given, faults)
    _read_flags(flags, leaves, given)
    settings: T = _build(cls, (), given, faults)
    if faults:
        raise _refusal(faults)
    return settings


def _refusal(faults: list[Fault]) -> ConfigError:
    lines = "\n".join(f"  {fault}" for fault in faults)
    return ConfigError(f"invalid settings:\n{lines}", faults)


def check_config(load: Callable[[], object], write: Callable[[str], object]) -> int:
    """Do what ``--check-config`` asks for: load, say what holds, return the exit code.

    Args:
        load: loads the settings, or raises ConfigError.
        write: prints one line.
    """
    try:
        settings = load()
    except BerthError as error:
        write(error.message)
        return 1
    for line in describe_settings(settings):
        write(line)
    write("the configuration is valid")
    return 0


def describe_settings(settings: object) -> list[str]:
    """Return one line ``key = value`` per setting; secrets are not shown."""
    return [f"{key} = {shown}" for key, shown in _shown(settings, ())]


def settings_by_key(settings: object) -> dict[str, object]:
    """Return the value of every setting by its key; never show them, some are secrets."""
    return dict(_values(settings, ()))


def _values(settings: Any, path: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        key = (*path, field.name)
        if dataclasses.is_dataclass(value):
            yield from _values(value, key)
        else:
            yield ".".join(key), value


def _shown(settings: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        key = (*path, field.name)
        if dataclasses.is_dataclass(value):
            yield from _shown(value, key)
        elif value and _is_secret(field):
            yield ".".join(key), "(secret)"
        else:
            yield ".".join(key), _value_text(value)


def _is_secret(field: Any) -> bool:
    """A key's *file* is no secret; a password is, and whatever its dataclass keeps from repr."""
    is_file = field.name.endswith(("_file", "_path", "_dir"))
    return not field.repr or (not is_file and any(word in field.name for word in _SECRET_WORDS))


def _value_text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value_text(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()  # As TOML writes it: these lines are copied into files.
    return f'"{value}"' if isinstance(value, (str, Path)) else str(value)


def _leaves(cls: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield (key, type) of every setting that is not a table."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        hint = hints[field.name]
        if is_table(hint):
            yield from _leaves(bare_type(hint)[0], (*path, field.name))
        else:
            yield ".".join((*path, field.name)), hint


def _read_file(file: Path) -> dict[str, object]:
    """Return the file's tables. A fault here is told alone: what else is set is not known."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}; name a file that can"
        raise _refusal([Fault(str(file), problem)]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refusal([Fault(str(file), f"is not TOML: {error}")]) from error


def _read_table(
    cls: Any,
    table: Mapping[str, object],
    path: tuple[str, ...],
    source: str,
    given: dict[str, _Given],
    faults: list[Fault],
) -> None:
    hints = typing.get_type_hints(cls)
    names = {field.name for field in dataclasses.fields(cls) if field.init}
    for written, value in table.items():
        name = written.replace("-", "_")
        key = ".".join((*path, name))
        if name not in names:
            faults.append(Fault(key, f"there is no such setting ({source}){_meant(name, names)}"))
        elif not is_table(hints[name]):
            given[key] = _Given(value, source)
        elif isinstance(value, Mapping):
            inner = bare_type(hints[name])[0]
            _read_table(inner, value, (*path, name), source, given, faults)
        else:
            faults.append(Fault(key, f"{value!r} ({source}) is not a table; write [{key}]"))


def _read_environment(
    env: Mapping[str, str],
    prefix: str,
    leaves: Mapping[str, Any],
    given: dict[str, _Given],
    faults: list[Fault],
) -> None:
    by_name = {key.upper().replace(".", "_"): key for key in leaves}
    for variable, text in sorted(env.items()):
        if not variable.startswith(prefix):
            continue
        name = variable.removeprefix(prefix)
        if name in by_name:
            if text:  # An empty variable is how a unit file or a compose file says "unset".
                given[by_name[name]] = _Given(text, variable)
        elif name not in _FOREIGN_NAMES:
            # Other programs' variables are none of our business, but a typo must not pass.
            near = difflib.get_close_matches(name, by_name, n=1, cutoff=_TYPO_LIKENESS)
            if near:
                faults.append(
                    Fault(variable, f'there is no such setting; did you mean "{prefix}{near[0]}"?')
                )


def _read_flags(
    flags: Mapping[str, object], leaves: Mapping[str, Any], given: dict[str, _Given]
) -> None:
    by_name = {key.replace(".", "_"): key for key in leaves}
    for written, value in flags.items():
        if value is None or value == ():
            continue
        name = written.replace("-", "_")
        key = name if name in leaves else by_name.get(name.replace(".", "_"))
        assert key is not None, f"the flag {written} names no setting"
        option = key.replace(".", "-").replace("_", "-").removesuffix("-s")
        given[key] = _Given(value, f"--{option}")


def _build(cls: Any, path: tuple[str, ...], given: dict[str, _Given], faults: list[Fault]) -> Any:
    """Return an instance, or None where it has faults, which are then in `faults`."""
    before = len(faults)
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        hint = hints[field.name]
        key = ".".join((*path, field.name))
        if is_table(hint):
            inner, optional = bare_type(hint)
            if any(name.startswith(f"{key}.") for name in given) or not (
                optional or _has_default(field)
            ):
                values[field.name] = _build(inner, (*path, field.name), given, faults)
        elif key in given:
            _take(field.name, hint, key, given[key], values, faults)
        elif not _has_default(field):
            name = key.upper().replace(".", "_")
            faults.append(
                Fault(key, f"is not set; set it in the file, by BERTH_{name} or by its flag")
            )
    if len(faults) > before:
        return None  # What relates to a wrong value cannot be judged.
    return _validated(cls, values, path, faults)


def _take(
    name: str,
    hint: Any,
    key: str,
    source: _Given,
    values: dict[str, Any],
    faults: list[Fault],
) -> None:
    try:
        values[name] = convert(name, hint, source.value)
    except WrongValueError as error:
        shown = "(secret)" if any(word in name for word in _SECRET_WORDS) else repr(source.value)
        faults.append(Fault(key, f"{shown} ({source.source}) {error}"))


def _validated(cls: Any, values: dict[str, Any], path: tuple[str, ...], faults: list[Fault]) -> Any:
    try:
        settings = cls(**values)
        validate = getattr(settings, "validate", None)
        if callable(validate):
            validate()
    except BerthError as error:
        found = getattr(error, "faults", ()) or (Fault("", error.message),)
        faults.extend(Fault(_joined(path, fault.path), fault.problem) for fault in found)
    except (ValueError, AssertionError) as error:
        faults.append(Fault(".".join(path), str(error)))
    else:
        return settings
    return None


def _joined(path: tuple[str, ...], inner: str) -> str:
    """Return the full key of a fault; a table may already name itself in its faults."""
    prefix = ".".join(path)
    if not prefix or inner == prefix or inner.startswith(f"{prefix}."):
        return inner
    return f"{prefix}.{inner}" if inner else prefix


def _has_default(field: Any) -> bool:
    return (
        field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    )


def _meant(name: str, names: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; there are {', '.join(sorted(names))}"
