"""Refusals in Docker's form: a status and ``{"message": …}``.

Duty: BerthError -> HTTP. Not here: deciding what is refused.
Invariants (tests/unit/gateway/test_errors.py): the content type is exactly ``application/json``
(with a charset the docker CLI prints the raw JSON); the message is never empty.
"""

from typing import Final

from starlette.responses import JSONResponse

from berth.errors import BerthError, ErrorCode, InternalError, NotFoundError
from gateway.wording import in_swarms_words

_STATUS: Final = {
    ErrorCode.INVALID_ARGUMENT: 400,
    ErrorCode.FAILED_PRECONDITION: 400,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.ALREADY_EXISTS: 409,
    ErrorCode.PERMISSION_DENIED: 403,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.UNIMPLEMENTED: 501,
    ErrorCode.UNAVAILABLE: 503,
    # "update out of sequence": Docker answers so, and clients match the text.
    ErrorCode.ABORTED: 500,
    ErrorCode.INTERNAL: 500,
}

PAGE_NOT_FOUND: Final = NotFoundError("page not found")
"""What Docker says of a path that it does not have; clients match the text."""
BUG: Final = InternalError("the scheduler failed to answer; its log has the cause")


class TooLargeError(BerthError):
    """The body of a request is larger than any that makes sense. Send less."""

    code = ErrorCode.INVALID_ARGUMENT


class TooSlowError(BerthError):
    """The body of a request did not come to its end in time. Send it again."""

    code = ErrorCode.INVALID_ARGUMENT


def status_of(error: BerthError) -> int:
    """Return the HTTP status for `error`."""
    match error:
        case TooLargeError():
            return 413
        case TooSlowError():
            return 408
        case _:
            return _STATUS[error.code]


def error_response(error: BerthError) -> JSONResponse:
    """Return `error` as Docker's clients read it."""
    message = (
        in_swarms_words(error.message) or f"the request was refused ({error.code.value.lower()})"
    )
    return JSONResponse({"message": message}, status_code=status_of(error))
