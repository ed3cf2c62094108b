"""Read a request as Docker's daemon does: JSON bodies, booleans, numbers of a query.

Duty: from text and bytes to plain values, or a refusal that names the parameter. Not here: what
the values mean (filters, translate).
"""

import asyncio
import math
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request

from berth.errors import InvalidRequestError
from berth.model.instant import Timestamp
from berth.model.json_text import read_json
from berth.model.registry_auth import RegistryAuth
from gateway.errors import TooLargeError, TooSlowError

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
"""Far above any spec, and the control API's own limit is lower."""
BODY_S: Final = 60.0
"""How long a body may take to come; whoever needs longer for so little has lost its network."""
_DIGITS_MAX: Final = 19  # Of 2**63.
_TIME_MAX: Final = 2**53
_FALSE: Final = frozenset({"", "0", "no", "false", "none"})
_GO_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_GO_FALSE: Final = frozenset({"", "0", "f", "F", "false", "FALSE", "False"})


async def json_body(request: Request, *, is_optional: bool = False) -> Any:
    """Return the decoded body.

    Args:
        request: the request.
        is_optional: return {} where there is none.

    Raises:
        InvalidRequestError: no JSON, or of another content type.
        TooLargeError: more than any spec needs.
        TooSlowError: it did not come to its end.
    """
    content_type = request.headers.get("content-type", "")
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size > BODY_BYTES_MAX:
                    text = f"the body is larger than {BODY_BYTES_MAX} bytes; send less"
                    raise TooLargeError(text)
                chunks.append(chunk)
    except TimeoutError:
        raise TooSlowError(f"the body did not come within {BODY_S:g} s; send it again") from None
    except ClientDisconnect:
        raise InvalidRequestError("the body ended in the middle") from None
    body = b"".join(chunks)
    if not body.strip():
        if is_optional:
            return {}
        raise InvalidRequestError("invalid JSON: got EOF while reading request body")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        # As Docker does; it also keeps web pages from sending what browsers send unasked.
        raise InvalidRequestError(
            f'unsupported Content-Type header ({content_type}): must be "application/json"'
        )
    try:
        return read_json(body)
    except ValueError as error:
        raise InvalidRequestError(f"invalid JSON: {error}") from None


def query_flag(request: Request, name: str) -> bool:
    """Return a boolean of the query by Docker's lenient rule."""
    return request.query_params.get(name, "").strip().lower() not in _FALSE


def strict_query_flag(request: Request, name: str) -> bool:
    """Return a boolean of the query by Go's own rule, which some parameters have.

    Raises:
        InvalidRequestError: it is none.
    """
    text = request.query_params.get(name, "")
    if text in _GO_TRUE:
        return True
    if text in _GO_FALSE:
        return False
    raise InvalidRequestError(
        f'invalid value for {name}: "{text}" is not a boolean; use true or false'
    )


def object_version(request: Request) -> int:
    """Return the version that an update rests on.

    Raises:
        InvalidRequestError: there is none.
    """
    text = request.query_params.get("version", "")[: _DIGITS_MAX + 1]
    is_number = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    if not is_number or not 0 < int(text) < 2**63:
        raise InvalidRequestError(
            f'invalid version "{text}": give the Version.Index of the object that you read'
        )
    return int(text)


def query_time(request: Request, name: str) -> Timestamp | None:
    """Return a time of the query, sent as seconds since 1970; None where there is none.

    Raises:
        InvalidRequestError: it is none, or so far away that nobody can mean it.
    """
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not abs(seconds) <= _TIME_MAX:
        raise InvalidRequestError(f'{name}: "{text[:100]}" is not a time; send seconds since 1970')
    return Timestamp(seconds)


def registry_auth(request: Request) -> RegistryAuth | None:
    """Return the credentials in X-Registry-Auth, None where nothing is proved.

    Raises:
        InvalidRequestError: the header cannot be read.
    """
    auth = RegistryAuth.from_header(request.headers.get("x-registry-auth", ""))
    return None if auth.is_anonymous else auth
