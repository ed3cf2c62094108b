"""What is in a task's files, and where they appear."""

from dataclasses import replace

import pytest

from berth.errors import InvalidRequestError
from berth.model.files import FileId, FileKind, FilePayload
from berth.model.service import FileReference, Mount, MountType
from nodeagent.runtime.translate import template_values, to_create_call
from nodeagent.runtime.translate_files import PlacedFile, files_of
from nodeagent.runtime.translate_host import EngineTraits
from tests.fakes.runtime_tasks import a_runtime_task

SECRET, CONFIG = FileKind.SECRET, FileKind.CONFIG


def a_payload(kind=SECRET, name="pw", data=b"hunter2", driver=""):
    return FilePayload(kind, FileId(f"{name}-id"), name, driver, data)


def a_reference(name="pw", **fields):
    return FileReference(f"{name}-id", name, **{"target": name, **fields})


def files(*payloads, secrets=(), configs=(), **fields):
    task = a_runtime_task(secrets=secrets, configs=configs, of_task={"files": payloads}, **fields)
    return files_of(task, template_values(task))


def test_a_file_has_its_content_owner_mode_and_target():
    reference = a_reference(uid="7", gid="8", mode=0o400)
    config = a_reference("conf", target="", mode=0o444)
    found = files(
        a_payload(), a_payload(CONFIG, "conf", b"a=b"), secrets=(reference,), configs=(config,)
    )
    assert [(f.target, f.uid, f.gid, f.mode, f.content) for f in found] == [
        ("/conf", 0, 0, 0o444, b"a=b"),
        ("/run/secrets/pw", 7, 8, 0o400, b"hunter2"),
    ]
    assert "hunter2" not in repr(found)


def test_templates_are_filled_in_for_this_task():
    template = (
        b"{{.Service.Name}}.{{.Task.Slot}} {{env `COLOUR`}}{{env `NONE`}} {{secret `pw`}} "
        b"{{config `/etc/other`}}"
    )
    found = files(
        a_payload(CONFIG, "conf", template, "golang"),
        a_payload(),
        a_payload(CONFIG, "other", b"{{.Not.Filled}}"),
        configs=(a_reference("conf"), a_reference("other", target="/etc/other")),
        secrets=(a_reference(),),
        env=("COLOUR=red", "COLOUR={{.Node.ID}}x"),
        slot=3,
        node_id="n1",
    )
    assert found[0].content == b"web.3 n1x hunter2 {{.Not.Filled}}"
    assert found[1].content == b"{{.Not.Filled}}"


@pytest.mark.parametrize(
    ("kind", "data", "quotes"),
    [
        pytest.param(CONFIG, b"{{secret `no`}}", True, id="a file that the service has not"),
        pytest.param(CONFIG, b"{{.Nothing}}", True, id="an unknown field"),
        pytest.param(SECRET, b"hunter2 {{.Nothing", False, id="of a secret nothing is quoted"),
    ],
)
def test_templates_that_cannot_be_filled_in(kind, data, quotes):
    references = {f"{kind.value}s": (a_reference(),)}
    with pytest.raises(InvalidRequestError, match=f'{kind.value} "pw" cannot be') as refusal:
        files(a_payload(kind, "pw", data, "golang"), **references)
    assert ("no" in refusal.value.message.split(":", 1)[1]) >= quotes
    assert "hunter2" not in refusal.value.message


def test_a_file_that_was_not_sent_is_a_bug_that_is_told():
    with pytest.raises(InvalidRequestError, match='secret "pw" was not sent'):
        files(secrets=(a_reference(),))
    with pytest.raises(InvalidRequestError, match="was not sent"):
        files(replace(a_payload(), problem="no key"), secrets=(a_reference(),))


def test_files_are_bound_read_only_beside_the_other_mounts():
    mount = Mount(MountType.VOLUME, "data", "/data")
    task = a_runtime_task(mounts=(mount,))
    placed = (PlacedFile("/run/berth-files/n/t/0", "/run/secrets/pw"),)
    body = to_create_call(task, "busybox:1", EngineTraits(), placed).body
    assert body["HostConfig"]["Mounts"][1:] == [
        {
            "Type": "bind",
            "Source": "/run/berth-files/n/t/0",
            "Target": "/run/secrets/pw",
            "ReadOnly": True,
        }
    ]
