"""/configs and /secrets against a fake cluster."""

import base64

import pytest

from tests.unit.gateway.asking import with_api

DATA = base64.b64encode(b"hunter2").decode()


def sent(name="pw", **fields):
    return {"Name": name, "Data": DATA, **fields}


@with_api
async def test_the_life_of_both_kinds(api):
    for path in ("/configs", "/secrets"):
        created = await api("POST", f"{path}/create", sent(Labels={"a": "b"}))
        assert created.status == 201
        file_id = created.json["ID"]
        for name in ("pw", file_id, file_id[:8]):
            found = (await api("GET", f"{path}/{name}")).json
            assert found["ID"] == file_id
            assert found["Spec"]["Labels"] == {"a": "b"}
            assert found["Spec"].get("Data") == (DATA if path == "/configs" else None)
        assert "hunter2" not in (await api("GET", path)).body.decode()
        assert DATA not in (await api("GET", path)).body.decode()
        changed = sent(Labels={"c": "d"})
        assert (await api("POST", f"{path}/pw/update", changed, version="1")).status == 200
        assert (await api("POST", f"{path}/pw/update", changed, version="1")).status == 500
        refused = await api("POST", f"{path}/pw/update", {**changed, "Data": "AAAA"}, version="2")
        assert refused.status == 400
        assert "only updates to Labels are allowed" in refused.message
        assert (await api("POST", f"{path}/pw/update", changed)).status == 400
        assert (await api("DELETE", f"{path}/pw")).status == 204
        assert (await api("GET", f"{path}/pw")).status == 404


@with_api
async def test_refusals(api):
    await api("POST", "/secrets/create", sent())
    assert (await api("POST", "/secrets/create", sent())).status == 409
    api.control.file_users["pw"] = "web"
    in_use = await api("DELETE", "/secrets/pw")
    assert (in_use.status, "web" in in_use.message) == (400, True)
    assert (await api("POST", "/secrets/create", {"Name": "a", "Data": "!"})).status == 400
    assert (await api("GET", "/configs/pw")).status == 404
    assert (await api("GET", "/secrets", filters={"nosuch": ["x"]})).status == 400


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        pytest.param({}, ["pw", "pw2", "key"], id="all"),
        pytest.param({"name": ["pw"]}, ["pw", "pw2"], id="by the beginning of the name"),
        pytest.param({"names": ["pw"]}, ["pw"], id="by the exact name"),
        pytest.param({"id": ["secretkey"]}, ["key"], id="by the beginning of the ID"),
        pytest.param({"label": ["a=b"]}, ["key"], id="by label"),
    ],
)
def test_filters(filters, names):
    @with_api
    async def check(api):
        for name in ("pw", "pw2"):
            await api("POST", "/secrets/create", sent(name))
        await api("POST", "/secrets/create", sent("key", Labels={"a": "b"}))
        found = (await api("GET", "/secrets", filters=filters)).json
        assert [each["Spec"]["Name"] for each in found] == names

    check()


@with_api
async def test_calls_are_counted_by_kind(api):
    await api("GET", "/secrets")
    assert api.registry.get_sample_value(
        "berth_docker_requests_total", {"call": "list_secrets", "status": "200"}
    )
