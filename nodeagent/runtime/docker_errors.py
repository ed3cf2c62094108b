"""Turn an Engine's refusals into `RuntimeCallError`. Pure, but for the types of two libraries.

Duty: the one border between the `docker` package's exceptions and Berth's: words for users, and
whether the same call may be repeated.
Not here: when it is repeated (nodeagent.core.backoff).
Invariants (tests/unit/nodeagent/runtime/test_docker_errors.py): what the network or a busy Engine
caused may be retried; what names, credentials, specs caused may not; no credential is in a text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import docker.errors
import requests.exceptions
import urllib3.exceptions

from berth.errors import RetryRule
from nodeagent.runtime.port import RuntimeCallError

TRANSPORT_ERRORS = (
    docker.errors.DockerException,
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
)
"""What a call through the `docker` package may raise when the world refuses."""

_UNCONNECTED = (ConnectionRefusedError, FileNotFoundError)
"""Nobody listens at the Engine's socket, or there is none."""

_NOT_FOUND = 404
_TRANSIENT_STATUS = (408, 425, 429)
_SERVER_FAULT = 500
_UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a text from the Engine means; the first rule that matches holds."""

    pattern: re.Pattern[str]
    retry: RetryRule
    fix: str = ""


def _rule(pattern: str, retry: RetryRule, fix: str = "") -> _Rule:
    return _Rule(re.compile(pattern, re.IGNORECASE), retry, fix)


_PULL_RULES: Sequence[_Rule] = (
    _rule(r"toomanyrequests|\b429\b|rate limit", RetryRule.LATER, "the registry limits pulls"),
    _rule(
        r"server gave HTTP response to HTTPS",
        RetryRule.NEVER,
        "the registry speaks plain HTTP;"
        " add it to the Engine's insecure-registries, or give it a certificate",
    ),
    _rule(r"x509|certificate", RetryRule.NEVER, "give the Engine the registry's CA certificate"),
    _rule(
        r"no matching manifest|does not match the specified platform",
        RetryRule.NEVER,
        "the image has no build for this node's platform; constrain the service or build one",
    ),
    _rule(
        r"unauthorized|no basic auth|authentication required|incorrect username"
        r"|denied|\b401\b|\b403\b",
        RetryRule.NEVER,
        "check the name, and send credentials that may pull it (--with-registry-auth)",
    ),
    _rule(
        r"manifest unknown|manifest for .* not found|name unknown|repository .* not found",
        RetryRule.NEVER,
        "check the name and the tag, or push it first",
    ),
    _rule(r"invalid reference|invalid repository", RetryRule.NEVER, "mend the image's name"),
    _rule(
        r"connection refused|no such host|timeout|timed out|deadline|reset by peer|EOF"
        r"|unreachable|temporar|unavailable|HTTP status: 5\d\d|\b50[0-9]\b",
        RetryRule.LATER,
        "the registry did not answer; check it and the node's network",
    ),
    _rule(r"no space left", RetryRule.LATER, "free space where the Engine keeps images"),
)

_COMMON_FAULTS: Sequence[tuple[re.Pattern[str], str, str]] = (
    (
        re.compile(
            r"(?:Bind for|listen \w+) \S*:(?P<it>\d+)(?: failed)?: "
            r"(?:port is already allocated|bind: address already in use)"
        ),
        "port {it} is taken on the node",
        "publish another one, or end what has it",
    ),
    (
        re.compile(
            r'exec: "(?P<it>[^"]+)": '
            r"(?:stat [^:]+: no such file or directory|executable file not found in \$PATH)"
        ),
        'no program "{it}" in the image',
        "name one that it has",
    ),
    (
        re.compile(r'exec: "(?P<it>[^"]+)": permission denied'),
        'no right to execute "{it}"',
        "make it executable in the image",
    ),
    (
        re.compile(r"bind source path does not exist: (?P<it>\S+)"),
        "no path {it} on the node",
        "make it there, or constrain the service to nodes that have it",
    ),
)
"""Refusals of create and start by their text, in few words (docker's tables show 30 letters of a
reason), and what to do about it."""

_PASSING = re.compile(
    r"shutting down|context canceled|deadline exceeded|connection refused|transport is closing"
    r"|error while dialing|temporarily unavailable|in progress"
    # Another agent of this Engine made the same bridge, and is about to remove it again.
    r"|network \S+ is ambiguous",
    re.IGNORECASE,
)
"""Texts of what passes by itself, whatever the status."""


def is_not_found(error: BaseException) -> bool:
    """Return whether the Engine said that the thing is not there."""
    return isinstance(error, docker.errors.APIError) and error.status_code == _NOT_FOUND


def is_conflict(error: BaseException) -> bool:
    """Return whether the Engine said that the thing's state does not allow this."""
    return isinstance(error, docker.errors.APIError) and error.status_code == 409


def explanation(error: BaseException) -> str:
    """Return the Engine's own words, without the library's decoration."""
    if isinstance(error, docker.errors.APIError) and error.explanation:
        return str(error.explanation).strip()
    return str(error).strip() or type(error).__name__


def call_error(what: str, error: BaseException, *, is_final: bool) -> RuntimeCallError:
    """Return the refusal of one call.

    Args:
        what: the call in words, for example ``start container 3f9a…``.
        error: what the `docker` package raised.
        is_final: whether a fault inside the Engine (500) means that the spec cannot work: so it is
            for create and start, which answer 500 for a missing program or a taken port.
    """
    text = explanation(error)
    if not isinstance(error, docker.errors.APIError) or error.status_code is None:
        message = f"cannot {what}: the Docker Engine did not answer: {text}; check that it runs"
        was_sent = not _is_unconnected(error)
        return RuntimeCallError(message, retry=RetryRule.LATER, was_sent=was_sent)
    status = error.status_code
    passing = status in _TRANSIENT_STATUS or status == _UNAVAILABLE or _PASSING.search(text)
    if passing or (status >= _SERVER_FAULT and not is_final):
        return RuntimeCallError(f"cannot {what}: {text}", retry=RetryRule.LATER)
    return RuntimeCallError(_refusal(what, text), retry=RetryRule.NEVER)


def _refusal(what: str, text: str) -> str:
    """Return the words of a final refusal: what is wrong first, where the text tells that."""
    for pattern, wrong, fix in _COMMON_FAULTS:
        found = pattern.search(text)
        if found:
            return f"{wrong.format(it=found['it'])}: cannot {what}: {text}; {fix}"
    return f"cannot {what}: {text}"


def _is_unconnected(error: BaseException) -> bool:
    """Return whether there was no connection, so that the Engine cannot have heard of the call.

    The libraries put the system's error among the arguments of theirs, or in its cause.
    """
    todo: list[object] = [error]
    seen: set[int] = set()
    while todo:
        it = todo.pop()
        if not isinstance(it, BaseException) or id(it) in seen:
            continue
        if isinstance(it, _UNCONNECTED):
            return True
        seen.add(id(it))
        todo += [*it.args, it.__cause__, it.__context__]
    return False


def pull_error(reference: str, text: str, status: int | None = None) -> RuntimeCallError:
    """Return why `reference` could not be pulled, from the Engine's `text` and HTTP `status`."""
    for rule in _PULL_RULES:
        if rule.pattern.search(text):
            return RuntimeCallError(
                f"cannot pull {reference}: {text}; {rule.fix}", retry=rule.retry
            )
    is_refused = status is not None and status < _SERVER_FAULT and status not in _TRANSIENT_STATUS
    retry = RetryRule.NEVER if is_refused else RetryRule.LATER
    return RuntimeCallError(f"cannot pull {reference}: {text}", retry=retry)


def pull_call_error(reference: str, error: BaseException) -> RuntimeCallError:
    """Return why the pull of `reference` was refused before it began."""
    if isinstance(error, docker.errors.APIError):
        return pull_error(reference, explanation(error), error.status_code)
    return call_error(f"pull {reference}", error, is_final=False)
