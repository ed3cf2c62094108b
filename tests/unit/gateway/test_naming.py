"""A service without a name is given one that it may bear and that is free."""

from berth.errors import AlreadyExistsError
from gateway.naming import name_of
from scheduler.control.validate import validate_spec
from tests.builders import a_spec
from tests.unit.gateway.asking import SPEC, with_api


def test_every_name_is_another_and_one_that_a_service_may_have():
    names = [name_of(number) for number in range(4096)]
    assert len(set(names)) == 4096
    assert name_of(4096) == names[0]
    faults = [validate_spec(a_spec(name), previous=None)[0] for name in names]
    assert not any(faults)


@with_api
async def test_a_service_without_a_name_gets_one(api):
    nameless = {key: value for key, value in SPEC.items() if key != "Name"}
    created = [await api("POST", "/services/create", nameless) for _ in range(3)]
    assert [answer.status for answer in created] == [201] * 3
    listed = (await api("GET", "/services")).json
    assert all("_" in each["Spec"]["Name"] for each in listed)


@with_api
async def test_a_name_that_is_taken_is_drawn_again(api):
    nameless = SPEC | {"Name": ""}
    api.control.refusals = [AlreadyExistsError("taken")] * 3
    assert (await api("POST", "/services/create", nameless)).status == 201
    tried = [request.spec.name for call, request in api.control.calls if call == "CreateService"]
    assert len(tried) == 4
    assert len(set(tried)) > 1
    api.control.refusals = [AlreadyExistsError("taken")] * 99
    refused = await api("POST", "/services/create", nameless)
    assert (refused.status, "name the service" in refused.json["message"]) == (400, True)


@with_api
async def test_a_name_that_the_user_chose_is_never_another(api):
    api.control.refusals = [AlreadyExistsError("taken")]
    assert (await api("POST", "/services/create", SPEC)).status == 409
