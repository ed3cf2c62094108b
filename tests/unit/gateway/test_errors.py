import json

import pytest

from berth import errors
from gateway.errors import PAGE_NOT_FOUND, TooLargeError, error_response


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidRequestError("x"), 400),
        (errors.ConflictError("x"), 400),
        (errors.UnauthenticatedError("x"), 401),
        (errors.PermissionDeniedError("x"), 403),
        (errors.NotFoundError("x"), 404),
        (errors.AlreadyExistsError("x"), 409),
        (TooLargeError("x"), 413),
        (errors.OutOfSequenceError("update out of sequence"), 500),
        (errors.InternalError("x"), 500),
        (errors.UnsupportedError("x"), 501),
        (errors.NoLeaderError("x"), 503),
        (errors.UpstreamError("x"), 503),
        (errors.OutcomeUnknownError("x"), 503),
    ],
)
def test_each_refusal_has_dockers_status_and_form(error, status):
    answer = error_response(error)
    assert answer.status_code == status
    assert json.loads(answer.body) == {"message": error.message}
    assert answer.headers["content-type"] == "application/json", "exactly; else the CLI shows JSON"


def test_every_code_has_a_status_and_no_message_is_empty():
    for code in errors.ErrorCode:
        error = errors.BerthError("")
        error.code = code
        assert json.loads(error_response(error).body)["message"]
    assert PAGE_NOT_FOUND.message == "page not found"
