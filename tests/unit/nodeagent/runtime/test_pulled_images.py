"""Which images are Berth's own: remembered over a restart, forgotten without harm."""

import pytest
from structlog.testing import capture_logs

from berth.model.instant import Timestamp
from nodeagent.runtime.pulled_images import FilePulledImages


def test_they_are_remembered_over_a_restart(tmp_path):
    path = tmp_path / "images.json"
    images = FilePulledImages(path)
    images.record("app:1", Timestamp(10.0))
    images.record("app:2", Timestamp(20.0))
    images.record("app:1", Timestamp(30.0))
    images.forget("app:2")
    images.forget("never:known")
    assert FilePulledImages(path).last_used() == {"app:1": 30.0}
    assert [found.name for found in tmp_path.iterdir()] == ["images.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": "x"}', b"\xff"])
def test_a_broken_file_counts_as_empty(tmp_path, content):
    path = tmp_path / "images.json"
    path.write_bytes(content)
    assert FilePulledImages(path).last_used() == {}


def test_a_full_disk_fails_nothing_and_is_told_once(tmp_path):
    path = tmp_path / "images.json"
    images = FilePulledImages(path)
    in_the_way = tmp_path / "images.json.new"
    in_the_way.mkdir()
    with capture_logs() as lines:
        images.record("app:1", Timestamp(10.0))
        images.record("app:2", Timestamp(20.0))
        images.forget("app:2")
    assert [line["event"] for line in lines] == ["pulled_images_not_written"]
    assert images.last_used() == {"app:1": 10.0}
    in_the_way.rmdir()
    images.record("app:3", Timestamp(30.0))
    assert FilePulledImages(path).last_used() == {"app:1": 10.0, "app:3": 30.0}
