"""Fill in the Go-template fields that a spec may use, with Go's own results.

Duty: read ``{{.Service.Name}}`` and its kin in env values, hostnames, mounts and the payloads of
templated configs and secrets; refuse what is not one of Swarm's fields; put values in.
Not here: which parts of a spec are templates (nodeagent.runtime.translate), where faults of a whole
spec are gathered (scheduler.control.validate).
Invariants (tests/unit/berth/model/test_template.py): text without ``{{`` comes back unchanged;
`check_template` refuses exactly what `expand_template` would refuse; values are never read again as
templates.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from berth.errors import InvalidRequestError

_OPEN = "{{"
_CLOSE = "}}"
_NO_VALUE = "<no value>"  # What Go prints for a map key that is not there.
_LABEL_FIELD = re.compile(r"\.Service\.Labels\.(\w+)")
_INDEX = re.compile(r"index\s+\.Service\.Labels\s+(\"(?:[^\"\\]|\\.)*\"|`[^`]*`)", re.DOTALL)
_LITERAL = re.compile(r"\"(?:[^\"\\]|\\.)*\"|`[^`]*`", re.DOTALL)
_FIELD = re.compile(r"(?:\.\w+)+|\.")
_FUNCTION = re.compile(r"(env|secret|config)\s+(\"(?:[^\"\\]|\\.)*\"|`[^`]*`)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class TemplateValues:
    """What one task's templates are filled with.

    `task_slot` is the slot's number, or the node's ID for a task of a global service.
    """

    service_id: str = ""
    service_name: str = ""
    service_labels: Mapping[str, str] = field(default_factory=dict)
    node_id: str = ""
    node_hostname: str = ""
    node_os: str = ""
    node_architecture: str = ""
    task_id: str = ""
    task_name: str = ""
    task_slot: str = ""
    functions: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    """What ``{{env "NAME"}}`` and its kin ask; only in payloads."""


def _labels_text(values: TemplateValues) -> str:
    """Print the labels as Go prints a map."""
    pairs = (f"{key}:{value}" for key, value in sorted(values.service_labels.items()))
    return f"map[{' '.join(pairs)}]"


_Evaluate = Callable[[TemplateValues], str]
_FIELDS: Mapping[str, _Evaluate] = {
    ".Service.ID": lambda values: values.service_id,
    ".Service.Name": lambda values: values.service_name,
    ".Service.Labels": _labels_text,
    ".Node.ID": lambda values: values.node_id,
    ".Node.Hostname": lambda values: values.node_hostname,
    ".Node.Platform": lambda values: f"{{{values.node_architecture} {values.node_os}}}",
    ".Node.Platform.OS": lambda values: values.node_os,
    ".Node.Platform.Architecture": lambda values: values.node_architecture,
    ".Task.ID": lambda values: values.task_id,
    ".Task.Name": lambda values: values.task_name,
    ".Task.Slot": lambda values: values.task_slot,
}


def check_template(text: str) -> None:
    """Refuse `text` where it is not a template that can be filled in.

    Raises:
        InvalidRequestError: it names an unknown field, or is not closed. The message names it.
    """
    for _ in _parse(text):
        pass


def expand_template(text: str, values: TemplateValues) -> str:
    """Return `text` with its fields filled in from `values`.

    Raises:
        InvalidRequestError: as `check_template`.
    """
    if _OPEN not in text:
        return text
    return "".join(part if isinstance(part, str) else part(values) for part in _parse(text))


def check_payload_template(data: bytes) -> None:
    """Refuse a config's or secret's payload where it is not a template that can be filled in.

    Raises:
        InvalidRequestError: it is no UTF-8, or as `check_template`. The message quotes it.
    """
    for _ in _parse(_payload_text(data), is_payload=True):
        pass


def expand_payload(data: bytes, values: TemplateValues) -> bytes:
    """Return a payload with its fields and functions filled in from `values`.

    Raises:
        InvalidRequestError: as `check_payload_template`, or as one of the functions.
    """
    parts = _parse(_payload_text(data), is_payload=True)
    return "".join(part if isinstance(part, str) else part(values) for part in parts).encode()


def _payload_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError("a template must be text in UTF-8") from None


def _parse(text: str, *, is_payload: bool = False) -> Iterator[str | _Evaluate]:
    """Yield plain text and what must be evaluated, in order."""
    position = 0
    trims_next = False  # `-}}` takes away the white space that follows it.
    while True:
        start = text.find(_OPEN, position)
        plain = text[position:] if start < 0 else text[position:start]
        if trims_next:
            plain = plain.lstrip()
        if start < 0:
            yield plain
            return
        end = _action_end(text, start)
        body = text[start + len(_OPEN) : end]
        if re.match(r"-\s", body):
            body = body[1:]
            plain = plain.rstrip()
        trims_next = re.search(r"\s-\Z", body) is not None
        if trims_next:
            body = body[:-1]
        yield plain
        body = body.strip()
        if is_payload and (match := _FUNCTION.fullmatch(body)):
            yield _call_of(match[1], _unquoted(match[2]))
        else:
            yield _evaluator(body, text[start : end + len(_CLOSE)])
        position = end + len(_CLOSE)


def _action_end(text: str, start: int) -> int:
    """Return where the ``}}`` is that closes the action at `start`; quotes may hold others."""
    position = start + len(_OPEN)
    while position < len(text):
        if text.startswith(_CLOSE, position):
            return position
        character = text[position]
        if character in '"`':
            quoted = _LITERAL.match(text, position)
            if quoted is None:
                break
            position = quoted.end()
        elif text.startswith("/*", position):
            position = text.find("*/", position) + 2
            if position < 2:
                break
        else:
            position += 1
    raise InvalidRequestError(
        f'template "{text[start:]}" is not closed; end it with "}}}}", or write '
        '{{"{{"}} for two plain braces'
    )


def _evaluator(body: str, action: str) -> _Evaluate:
    """Return what evaluates the inside of one action; `action` is for the message."""
    if body.startswith("/*") and body.endswith("*/"):
        return lambda _: ""
    if body in _FIELDS:
        return _FIELDS[body]
    if match := _LABEL_FIELD.fullmatch(body):
        key = match[1]
        return lambda values: values.service_labels.get(key, _NO_VALUE)
    if match := _INDEX.fullmatch(body):
        key = _unquoted(match[1])
        return lambda values: values.service_labels.get(key, "")
    if _LITERAL.fullmatch(body):
        literal = _unquoted(body)
        return lambda _: literal
    what = "names the unknown field" if _FIELD.fullmatch(body) else "has the unknown expression"
    raise InvalidRequestError(
        f'template "{action}" {what} "{body}"; use one of {", ".join(_FIELDS)}, '
        'or index .Service.Labels "KEY"'
    )


def _call_of(function: str, argument: str) -> _Evaluate:
    return lambda values: values.functions[function](argument)


def _unquoted(literal: str) -> str:
    if literal.startswith("`"):
        return literal[1:-1]
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), literal[1:-1])
