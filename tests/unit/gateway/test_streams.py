"""Logs through the API, in process."""

import json

from berth.v1 import streams_pb2
from tests.unit.gateway.asking import SPEC, web, with_api


def chunk(node, *lines, error=""):
    return streams_pb2.LogChunk(
        node_id=node,
        lines=[
            streams_pb2.LogLine(task_id=task, is_stderr=is_stderr, time_ns=1, data=data)
            for task, is_stderr, data in lines
        ],
        error=error,
    )


def frames(body):
    found = []
    while body:
        size = int.from_bytes(body[4:8], "big")
        found.append((body[0], body[8 : 8 + size]))
        body = body[8 + size :]
    return found


@with_api
async def test_logs_are_framed_line_by_line(api):
    await web(api)
    task = api.control.tasks[0]
    api.control.logs = [
        chunk(task.node_id, (task.id, False, b"out\n"), (task.id, True, b"err\n")),
        chunk(task.node_id, ("forgotten", False, b"nobody knows this task\n")),
    ]
    answer = await api("GET", "/services/web/logs", stdout="1", stderr="1", api_version="v1.42")
    assert answer.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
    assert frames(answer.body) == [(1, b"out\n"), (2, b"err\n")]
    old = await api("GET", "/services/web/logs", stdout="1", details="1", timestamps="1")
    assert old.headers["content-type"] == "application/vnd.docker.raw-stream"
    stamp, context, text = frames(old.body)[0][1].split(b" ")
    assert stamp == b"1970-01-01T00:00:00.000000001Z"
    assert b"com.docker.swarm.task.id=" + task.id.encode() in context
    assert text == b"out\n"
    assert (await api("GET", "/services/web/logs")).status == 400
    assert (await api("GET", "/services/web/logs", stdout="1", tail="x")).status == 400
    assert (await api("GET", "/services/nosuch/logs", stdout="1")).status == 404


@with_api
async def test_a_node_that_cannot_be_read_does_not_end_the_rest(api):
    await web(api)
    first, second = api.control.tasks
    api.control.logs = [
        chunk(first.node_id, error="node host-2 is down"),
        chunk(second.node_id, (second.id, False, b"still here\n")),
    ]
    answer = await api("GET", "/services/web/logs", stdout="1", stderr="1")
    streams = [stream for stream, _ in frames(answer.body)]
    assert streams == [2, 1, 3], "told at once, the rest goes on, and the end is a failure"
    assert b"node host-2 is down" in frames(answer.body)[0][1]
    assert b"node host-2 is down" in frames(answer.body)[2][1]


@with_api
async def test_logs_of_a_terminal_are_raw(api):
    spec = json.loads(json.dumps(SPEC))
    spec["TaskTemplate"]["ContainerSpec"]["TTY"] = True
    await api("POST", "/services/create", spec)
    api.control.run_all()
    task = api.control.tasks[0]
    api.control.logs = [chunk(task.node_id, (task.id, False, b"x\r\n"))]
    answer = await api("GET", "/services/web/logs", stdout="1", details="1", api_version="v1.51")
    assert answer.headers["content-type"] == "application/vnd.docker.raw-stream"
    assert answer.body == b"x\r\n"
