"""Heads that wait for their bodies."""

from berth.joined_head import JoinedHead

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Transport:
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def write(self, data):
        self.told.append(data)

    def close(self):
        self.told.append("closed")

    def is_closing(self):
        return "closed" in self.told


def made():
    transport = Transport()
    return transport.told, JoinedHead(transport)


def test_a_head_leaves_with_its_body():
    told, joined = made()
    joined.write(HEAD)
    assert told == []
    joined.write(b"ab")
    joined.write(b"cd")
    assert told == [HEAD + b"ab", b"cd"]


def test_the_head_of_a_stream_does_not_wait():
    told, joined = made()
    joined.write(STREAM)
    joined.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert told == [STREAM, b"HTTP/1.1 100 Continue\r\n\r\n"]


def test_what_has_no_body_leaves_when_its_answer_is_over():
    told, joined = made()
    joined.write(HEAD)
    joined.flush()
    joined.flush()
    assert told == [HEAD]


def test_nothing_is_held_back_when_the_connection_is_closed():
    told, joined = made()
    joined.write(HEAD)
    assert not joined.is_closing()
    joined.close()
    assert told == [HEAD, "closed"]
    assert joined.is_closing(), "all else is the transport's own"
