"""Progress of a pull, added up from the Engine's messages."""

from nodeagent.runtime.port import PullProgress
from nodeagent.runtime.pull_meter import PullMeter


def test_layers_and_bytes_add_up_over_a_pull():
    meter = PullMeter()

    def after(status, layer=None, current=0, total=0):
        detail = {"current": current, "total": total} if total else {}
        meter.feed({"status": status, "id": layer, "progressDetail": detail})
        return meter.progress

    assert after("Pulling from berth/app", "1.0") == PullProgress(0, 0, 0, 0)
    assert after("Already exists", "a") == PullProgress(1, 1, 0, 0)
    assert after("Pulling fs layer", "b") == PullProgress(1, 2, 0, 0)
    assert after("Downloading", "b", 10, 100) == PullProgress(1, 2, 10, 100)
    assert after("Downloading", "b", 70, 100) == PullProgress(1, 2, 70, 100)
    assert after("Download complete", "b") == PullProgress(1, 2, 100, 100)
    assert after("Extracting", "b", 300, 400) == PullProgress(1, 2, 100, 100)
    assert after("Pull complete", "b") == PullProgress(2, 2, 100, 100)
    assert after("Status: Downloaded newer image for app:1") == PullProgress(2, 2, 100, 100)


def test_the_digest_is_remembered():
    meter = PullMeter()
    assert meter.digest == ""
    meter.feed({"status": "Digest: sha256:abc"})
    assert meter.digest == "sha256:abc"


def test_a_download_never_exceeds_its_total():
    meter = PullMeter()
    meter.feed({"status": "Downloading", "id": "a", "progressDetail": {"current": 9, "total": 5}})
    assert meter.progress == PullProgress(0, 1, 5, 5)
