"""The whole API in process: versions, headers, errors, and what each route asks of the cluster."""

import asyncio
import json
from dataclasses import replace

import pytest

from berth import errors
from berth.model.network import network_id
from berth.model.registry_auth import RegistryAuth
from gateway.app import ROUTES, docker_app
from gateway.doors import local_door
from gateway.errors import BUG, status_of
from tests.unit.gateway.asking import IMAGE, SPEC, docker_api, web, with_api


@with_api
async def test_ping_says_what_clients_negotiate_by(api):
    for method in ("GET", "HEAD"):
        for version in ("", "v1.24", "v1.51"):
            answer = await api(method, "/_ping", api_version=version)
            assert answer.status == 200
            assert answer.headers["api-version"] == "1.51"
            assert answer.headers["ostype"] == "linux"
            assert answer.headers["swarm"] == "active/manager"
            assert answer.headers["docker-experimental"] == "false"
            assert answer.headers["server"].startswith("Berth/")
            assert "no-cache" in answer.headers["cache-control"]
            assert answer.body == (b"OK" if method == "GET" else answer.body)


@with_api
async def test_other_versions_and_unknown_paths_are_refused_in_dockers_form(api):
    for version, path, status, words in (
        ("v1.99", "/info", 400, "too new"),
        ("v1.2", "/info", 400, "too old"),
        ("v1.41", "/nosuch", 404, "page not found"),
        ("", "/nosuch", 404, "page not found"),
        ("v1.41", "/services/create/more/of/it", 404, "page not found"),
    ):
        answer = await api("GET", path, api_version=version)
        assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
        assert words in answer.message
        assert answer.headers["api-version"] == "1.51", "on refusals too"


@with_api
async def test_a_service_is_created_read_changed_and_removed(api):
    service_id = await web(api)
    found = (await api("GET", "/services/web")).json
    assert found["ID"] == service_id
    assert found["Spec"]["Mode"] == {"Replicated": {"Replicas": 2}}
    listed = await api("GET", "/services", status="true", filters={"name": ["we"]})
    assert listed.json[0]["ServiceStatus"] == {
        "RunningTasks": 2, "DesiredTasks": 2, "CompletedTasks": 0,
    }  # fmt: skip
    assert (await api("GET", "/services", filters={"name": {"api": True}})).json == []

    spec = {**found["Spec"], "Labels": {"a": "b"}}
    path, index = "/services/web/update", str(found["Version"]["Index"])
    assert (await api("POST", path, spec)).status == 400, "no version"
    changed = await api("POST", path, spec, version=index)
    assert (changed.status, changed.json) == (200, {"Warnings": []})
    assert api.control.spec_of("web").labels == {"a": "b"}
    late = await api("POST", path, spec, version="99")
    assert (late.status, late.headers["content-type"]) == (500, "application/json")
    back = await api("POST", path, version="2", rollback="previous")
    assert back.status == 200
    assert api.control.spec_of("web").labels == {}
    assert (await api("DELETE", "/services/web")).status == 200
    gone = await api("GET", "/services/web")
    assert gone.status == 404


@with_api
async def test_keys_are_read_without_case(api):
    spec = {
        "name": "py",
        "tasktemplate": {"containerspec": {"IMAGE": IMAGE, "Labels": {"KeEp": "me"}}},
        "Mode": {"replicated": {"replicas": 4}},
    }
    assert (await api("POST", "/services/create", spec)).status == 201
    stored = api.control.spec_of("py")
    assert stored.mode.replicas == 4
    assert stored.task.container.labels == {"KeEp": "me"}


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        pytest.param(b"{", {}, 400, "invalid JSON", id="broken"),
        pytest.param(b"", {}, 400, "EOF", id="none"),
        pytest.param(b"[" * 100_000, {}, 400, "invalid JSON", id="deep"),
        pytest.param(b'{"Name": NaN}', {}, 400, "NaN", id="not JSON though Python reads it"),
        pytest.param(b"{}", {"content-type": "text/plain"}, 400, "Content-Type", id="a web page"),
        pytest.param(b" " * 5_000_000, {}, 413, "larger", id="huge"),
        pytest.param(b"[]", {}, 400, "not an object", id="a list"),
        pytest.param(b'{"Name": 1, "Labels": []}', {}, 400, "Labels: is a list", id="wrong types"),
        pytest.param(b"{}", {"x-registry-auth": "%%%"}, 400, "Image", id="an empty spec"),
    ],
)
def test_broken_bodies_are_refused_and_reach_nobody(body, headers, status, words):
    async def run():
        async with docker_api() as api:
            answer = await api("POST", "/services/create", body, headers=headers)
            assert answer.status == status
            assert words in answer.message
            assert api.control.calls == []

    asyncio.run(run())


@with_api
async def test_all_wrong_types_are_told_at_once(api):
    spec = {
        "Name": "web",
        "TaskTemplate": {
            "ContainerSpec": {"Image": 7, "Args": "x", "Mounts": [{"Type": "npipe"}]},
            "Resources": {"Limits": {"NanoCPUs": "1"}, "SwapBytes": 1},
        },
    }
    answer = await api("POST", "/services/create", spec)
    assert answer.status == 400
    for path in ("Image", "Args", "Mounts[0].Type", "Limits.NanoCPUs", "SwapBytes"):
        assert f"{path}: " in answer.message


@with_api
async def test_credentials_travel_with_the_spec(api):
    auth = RegistryAuth(username="me", password="secret")
    header = {"x-registry-auth": auth.to_header()}
    assert (await api("POST", "/services/create", SPEC, headers=header)).status == 201
    name, request = api.control.calls[-1]
    assert (name, request.registry_auth.username) == ("CreateService", "me")


@with_api
async def test_a_tag_is_pinned_by_the_cluster_where_the_client_did_not(api):
    spec = json.loads(json.dumps(SPEC).replace(IMAGE, "app:1"))
    await api("POST", "/services/create", spec)
    assert [name for name, _ in api.control.calls] == ["ResolveImage", "CreateService"]
    assert not api.control.calls[-1][1].no_resolve_image


@with_api
async def test_an_unreachable_registry_is_a_warning_as_in_swarm(api):
    way_out = "use --no-resolve-image to create the service without asking the registry"
    api.control.refusals = [errors.UpstreamError(f"registry is away; {way_out}")]
    spec = json.loads(json.dumps(SPEC).replace(IMAGE, "app:1"))
    answer = await api("POST", "/services/create", spec)
    assert answer.status == 201
    assert answer.json["Warnings"][0] == "registry is away", "the way out was taken already"
    assert api.control.calls[-1][1].no_resolve_image


@with_api
async def test_an_update_goes_on_as_in_swarm_where_the_cluster_cannot_resolve_its_tag(api):
    """The docker CLI says registryAuthFrom=spec, so that the cluster tries stored credentials."""
    await web(api)
    spec = json.loads(json.dumps(SPEC).replace(IMAGE, "app:2"))
    api.control.on_get_service = lambda _: api.control.refusals.append(
        errors.UpstreamError("registry is away")
    )
    answer = await api("POST", "/services/web/update", spec, version="1", registryAuthFrom="spec")
    assert answer.status == 200, answer.body
    assert "registry is away" in answer.json["Warnings"][0]
    updates = [request for name, request in api.control.calls if name == "UpdateService"]
    assert [request.no_resolve_image for request in updates] == [False, True]
    api.control.on_get_service = lambda _: api.control.refusals.append(
        errors.NoLeaderError("no scheduler leads")
    )
    again = await api("POST", "/services/web/update", SPEC, version="2", registryAuthFrom="spec")
    assert (again.status, len(updates)) == (503, 2), "that is no word about an image"


@with_api
async def test_tasks_are_listed_by_every_filter(api):
    service_id = await web(api)
    api.control.add_task("web", 1, node="host-1", state=704, is_history=True, is_current=False)
    expected = {
        "service=web": 3,
        f"service={service_id}": 3,
        "node=host-1": 2,
        "desired-state=running": 2,
        "desired-state=shutdown": 1,
        "name=web.1": 2,
        "_up-to-date=true": 2,
        "label=a": 0,
        "runtime=container": 3,
        "runtime=plugin": 0,
    }
    for text, count in expected.items():
        key, _, value = text.partition("=")
        found = (await api("GET", "/tasks", filters={key: {value: True}})).json
        assert len(found) == count, text
    absent = await api("GET", "/tasks", filters={"service": ["nosuch"]})
    assert absent.status == 404
    for filters in ({"desired-state": ["odd"]}, {"colour": ["red"]}):
        assert (await api("GET", "/tasks", filters=filters)).status == 400


@with_api
async def test_a_task_is_found_by_id_prefix_and_name(api):
    await web(api)
    task = (await api("GET", "/tasks")).json[0]
    for name in (task["ID"], task["ID"][:7], task["Name"], f"web.{task['Slot']}"):
        assert (await api("GET", f"/tasks/{name}")).json["ID"] == task["ID"], name
    assert (await api("GET", "/tasks/task")).status == 400, "ambiguous"
    assert (await api("GET", "/tasks/nosuch")).status == 404
    assert (await api("GET", "/tasks/no.such")).status == 404


@with_api
async def test_a_long_list_comes_in_pieces_and_whole(api):
    await web(api)
    for slot in range(500):
        api.control.add_task("web", slot + 1, node="host-1")
    answer = await api("GET", "/tasks")
    assert len(answer.json) == 502
    assert answer.headers["content-type"] == "application/json"


@with_api
async def test_nodes(api):
    listed = (await api("GET", "/nodes")).json
    assert [node["Description"]["Hostname"] for node in listed] == ["host-1", "host-2"]
    assert len((await api("GET", "/nodes", filters={"name": ["host-2"]})).json) == 1
    assert (await api("GET", "/nodes", filters={"role": ["manager"]})).json == []
    own = await api("GET", "/nodes/scheduler:s1")
    assert (own.status, "berth-agent" in own.message) == (501, True)
    assert (await api("DELETE", "/nodes/host-2")).status == 200
    assert (await api("GET", "/nodes/host-2")).status == 404


@with_api
async def test_info_version_and_swarm(api):
    info = (await api("GET", "/info")).json
    assert info["Swarm"]["LocalNodeState"] == "active"
    assert info["Swarm"]["ControlAvailable"] is True
    assert (info["Swarm"]["Nodes"], info["Swarm"]["Managers"]) == (2, 2)
    assert info["NCPU"] == 8
    version = (await api("GET", "/version", api_version="")).json
    assert (version["ApiVersion"], version["MinAPIVersion"]) == ("1.51", "1.24")
    swarm = (await api("GET", "/swarm")).json
    assert swarm["ID"] == info["Swarm"]["Cluster"]["ID"]
    for verb in ("join", "leave", "update", "unlock"):
        refused = await api("POST", f"/swarm/{verb}", {})
        assert refused.status == 501
        assert "Berth" in refused.message or "berth" in refused.message


@with_api
async def test_distribution_takes_names_with_slashes(api):
    answer = await api("GET", "/distribution/registry:5000/team/app:1/json")
    assert answer.json["Descriptor"]["digest"].startswith("sha256:")
    assert api.control.calls[-1][1].image == "registry:5000/team/app:1"


@with_api
async def test_refusals_of_the_cluster_keep_their_words(api):
    for error in (
        errors.NoLeaderError("no scheduler leads"),
        errors.ConflictError("not so"),
        errors.AlreadyExistsError("taken"),
    ):
        api.control.calls.clear()
        api.control.refusals = [error]
        answer = await api("GET", "/services/web")
        assert (answer.status, answer.message) == (status_of(error), error.message)
        assert len(api.control.calls) == 1, "the scheduler itself has waited for a leader"


@with_api
async def test_networks_for_a_stack(api):
    created = await api("POST", "/networks/create", {"Name": "app_default", "Driver": "overlay"})
    assert (created.status, created.json["Id"]) == (201, network_id("app_default"))
    assert "per node" in created.json["Warning"]
    again = await api("POST", "/networks/create", {"Name": "app_default"})
    assert again.status == 409
    for name in ("app_default", network_id("app_default")):
        found = (await api("GET", f"/networks/{name}")).json
        assert (found["Name"], found["Scope"]) == ("app_default", "swarm")
    names = [each["Name"] for each in (await api("GET", "/networks")).json]
    assert {"bridge", "host", "none", "ingress", "app_default"} <= set(names)
    custom = (await api("GET", "/networks", filters={"type": {"custom": True}})).json
    assert [each["Name"] for each in custom] == ["app_default"]
    assert (await api("DELETE", "/networks/app_default")).status == 204
    assert (await api("DELETE", "/networks/host")).status == 403
    assert (await api("DELETE", "/networks/nosuch")).status == 404


@with_api
async def test_what_berth_has_not_is_empty_or_said(api):
    for path in ("/containers/json", "/images/json", "/plugins"):
        assert (await api("GET", path)).json == [], path
    assert (await api("GET", "/volumes")).json == {"Volumes": [], "Warnings": []}
    for path in ("/containers/x/json", "/images/a/b/json", "/volumes/x"):
        assert (await api("GET", path)).status == 404, path
    usage = (await api("GET", "/system/df")).json
    assert (usage["Images"], usage["Containers"], usage["Volumes"]) == ([], [], [])
    for path, words in (
        ("/containers/create", "docker service create"),
        ("/images/create", "push them to a registry"),
        ("/images/a/b/push", "push them to a registry"),
        ("/images/prune", "one node's own Engine"),
        ("/networks/x/connect", "--network-add"),
        ("/networks/prune", "docker network rm"),
        ("/volumes/create", "--mount type=volume"),
        ("/plugins/pull", "each node's own Engine"),
        ("/auth", "--with-registry-auth"),
    ):
        refused = await api("POST", path, {})
        assert (refused.status, words in refused.message) == (501, True), path
    assert (await api("DELETE", "/images/x")).status == 501


@with_api
async def test_requests_are_counted_by_call_and_never_by_path(api):
    await api("GET", "/services/nosuch")
    await api("GET", "/nosuch")
    sample = api.registry.get_sample_value
    name = "berth_docker_requests_total"
    assert sample(name, {"call": "inspect_service", "status": "404"}) == 1
    assert sample(name, {"call": "unknown", "status": "404"}) == 1
    assert sample("berth_docker_requests_open") == 0


@with_api
async def test_a_bug_says_nothing_of_its_insides(api):
    api.app = local_door(docker_app(replace(api.gateway, client=None)))
    answer = await api("GET", "/services")
    assert (answer.status, answer.message) == (500, BUG.message)
    assert answer.headers["api-version"] == "1.51"


def paths_of(route):
    path = route.path
    for name in ("id", "name", "rest"):
        path = path.replace(f"{{{name}:path}}", "a/b")
    return [(method, path.replace("{id}", "x").replace("{verb}", "y")) for method in route.methods]


@with_api
async def test_without_a_leader_every_route_says_so_or_does_not_need_one(api):
    api.control.refusals = [errors.NoLeaderError("no scheduler leads")] * 1000
    without = set()
    for method, path in (pair for route in ROUTES for pair in paths_of(route)):
        body = {**SPEC, "Driver": "overlay"} if method == "POST" else None
        answer = await api(method, path, body, version="1", stdout="1")
        if answer.status == 503:
            assert answer.message == "no scheduler leads", path
        else:
            assert answer.status in (200, 400, 404, 501), (path, answer.status)
            without.add(path)
    needing = ("/services", "/tasks", "/nodes", "/networks", "/info", "/distribution", "/events")
    refused_anyway = {"/networks/prune", "/networks/x/connect", "/networks/x/disconnect"}
    assert not [path for path in without - refused_anyway if path.startswith(needing)]
