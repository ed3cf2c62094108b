"""Which of the Engine's refusals may be tried again, and in which words."""

import docker.errors
import pytest
import requests
import urllib3.exceptions

from berth.errors import RetryRule
from nodeagent.runtime.docker_errors import (
    call_error,
    explanation,
    is_conflict,
    is_not_found,
    pull_call_error,
    pull_error,
)

LATER, NEVER = RetryRule.LATER, RetryRule.NEVER


def an_answer(status, text):
    response = requests.Response()
    response.status_code = status
    return docker.errors.APIError("decorated", response=response, explanation=text)


@pytest.mark.parametrize(
    ("error", "is_final", "retry"),
    [
        pytest.param(requests.ConnectionError("refused"), True, LATER, id="no Engine"),
        pytest.param(requests.ReadTimeout("slow"), True, LATER, id="no answer in time"),
        pytest.param(docker.errors.DockerException("no version"), True, LATER, id="no version"),
        pytest.param(an_answer(500, "exec: not found"), True, NEVER, id="a start that cannot work"),
        pytest.param(an_answer(500, "oops"), False, LATER, id="a fault inside the Engine"),
        pytest.param(an_answer(503, "node down"), True, LATER, id="unavailable"),
        pytest.param(an_answer(500, "context canceled"), True, LATER, id="the Engine gave up"),
        pytest.param(an_answer(400, "bad mount"), False, NEVER, id="a bad request"),
        pytest.param(an_answer(429, "slow down"), True, LATER, id="too many requests"),
        pytest.param(
            an_answer(400, "network lan is ambiguous (2 matches found on name)"),
            True,
            LATER,
            id="a bridge has a twin",
        ),
        pytest.param(an_answer(500, "port is already allocated"), True, NEVER, id="port taken"),
    ],
)
def test_calls(error, is_final, retry):
    refusal = call_error("start container abc", error, is_final=is_final)
    assert refusal.retry is retry
    assert "cannot start container abc" in refusal.message
    assert explanation(error) in refusal.message


@pytest.mark.parametrize(
    ("text", "wrong", "fix"),
    [
        pytest.param(
            "driver failed programming external connectivity on endpoint web.1.abc (475f): "
            "Bind for 0.0.0.0:18088 failed: port is already allocated",
            "port 18088 is taken on the node",
            "publish another one",
            id="a port that another container has",
        ),
        pytest.param(
            "driver failed programming external connectivity on endpoint web.1.abc (475f): "
            "Error starting userland proxy: listen tcp4 0.0.0.0:5555: bind: address already in use",
            "port 5555 is taken on the node",
            "publish another one",
            id="a port that another program has",
        ),
        pytest.param(
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to "
            'start container process: exec: "/nosuch": stat /nosuch: no such file or directory: '
            "unknown",
            'no program "/nosuch" in the image',
            "name one that it has",
            id="a path that is not in the image",
        ),
        pytest.param(
            'OCI runtime create failed: exec: "serv": executable file not found in $PATH: unknown',
            'no program "serv" in the image',
            "name one that it has",
            id="a program that is not in the image",
        ),
        pytest.param(
            'OCI runtime create failed: exec: "/etc/passwd": permission denied: unknown',
            'no right to execute "/etc/passwd"',
            "make it executable",
            id="a file that is no program",
        ),
        pytest.param(
            'invalid mount config for type "bind": bind source path does not exist: /not/there',
            "no path /not/there on the node",
            "make it there, or constrain",
            id="a bind mount of nothing",
        ),
    ],
)
def test_common_faults_begin_with_what_is_wrong_and_end_with_what_to_do(text, wrong, fix):
    refusal = call_error("start container abc", an_answer(500, text), is_final=True)
    assert refusal.retry is NEVER
    assert refusal.message.startswith(f"{wrong}: cannot start container abc: {text}; {fix}")


@pytest.mark.parametrize(
    ("error", "was_sent"),
    [
        pytest.param(
            requests.ConnectionError(
                urllib3.exceptions.ProtocolError(
                    "Connection aborted.", ConnectionRefusedError(111, "Connection refused")
                )
            ),
            False,
            id="nobody listens",
        ),
        pytest.param(FileNotFoundError(2, "no such socket"), False, id="no socket"),
        pytest.param(requests.ReadTimeout("slow"), True, id="no answer in time"),
        pytest.param(ConnectionResetError(104, "reset"), True, id="a connection that broke"),
        pytest.param(an_answer(503, "node down"), True, id="the Engine itself answered"),
    ],
)
def test_it_tells_whether_the_engine_may_know_of_the_call(error, was_sent):
    assert call_error("stop container abc", error, is_final=False).was_sent is was_sent


@pytest.mark.parametrize(
    ("text", "status", "retry", "words"),
    [
        ("manifest for r/x:1 not found: manifest unknown", 404, NEVER, "check the name"),
        ("pull access denied for x, repository does not exist", 404, NEVER, "credentials"),
        ("Get http://r/v2/: no basic auth credentials", 500, NEVER, "credentials"),
        ("unauthorized: authentication required", 500, NEVER, "credentials"),
        ("no matching manifest for linux/arm64", 404, NEVER, "platform"),
        ("http: server gave HTTP response to HTTPS client", 500, NEVER, "insecure-registries"),
        ("x509: certificate signed by unknown authority", 500, NEVER, "CA certificate"),
        ("dial tcp 10.0.0.1:5000: connect: connection refused", 500, LATER, "did not answer"),
        ("lookup r.example: no such host", 500, LATER, "did not answer"),
        ("net/http: TLS handshake timeout", 500, LATER, "did not answer"),
        ("received unexpected HTTP status: 503 Service Unavailable", None, LATER, "registry"),
        ("toomanyrequests: You have reached your pull rate limit", 429, LATER, "limits"),
        ("write /var: no space left on device", None, LATER, "free space"),
        ("something new", 400, NEVER, "something new"),
        ("something new", None, LATER, "something new"),
    ],
)
def test_pulls(text, status, retry, words):
    refusal = pull_error("r/x:1", text, status)
    assert refusal.retry is retry
    assert words in refusal.message
    assert refusal.message.startswith(f"cannot pull r/x:1: {text}")


def test_a_pull_that_never_reached_the_engine_may_be_retried():
    assert pull_call_error("x", requests.ConnectionError("gone")).retry is LATER
    assert pull_call_error("x", an_answer(404, "manifest unknown")).retry is NEVER


def test_kinds_are_told_by_status():
    assert is_not_found(an_answer(404, "x"))
    assert not is_not_found(requests.ConnectionError())
    assert is_conflict(an_answer(409, "x"))
    assert not is_conflict(an_answer(404, "x"))
