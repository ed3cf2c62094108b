"""The table of roles: every door's every entry stands in it, and nothing else."""

import pytest

from berth.access import (
    CONTROL_CALLS,
    DOCKER_ROUTES,
    UserRole,
    needed_for_call,
    needed_for_route,
    refusal_words,
)
from berth.v1 import control_pb2
from gateway.app import ROUTES

CONTROL = control_pb2.DESCRIPTOR.services_by_name["Control"]


def routes():
    """All routes as the table writes them; Starlette lets HEAD go where GET goes."""
    return {
        f"{method} {route.path}" for route in ROUTES for method in route.methods if method != "HEAD"
    }


def test_every_route_of_the_docker_api_needs_a_role_that_is_written_down():
    missing, surplus = routes() - set(DOCKER_ROUTES), set(DOCKER_ROUTES) - routes()
    assert not missing, "add them to berth/access.py: say who may"
    assert not surplus, "remove them from berth/access.py: there are no such routes"


def test_every_call_of_the_control_api_needs_a_role_that_is_written_down():
    calls = {method.name for method in CONTROL.methods}
    assert calls == set(CONTROL_CALLS), "berth/access.py says for each call who may"


def test_what_is_not_written_down_needs_an_administrator():
    assert needed_for_call("Nosuch") is UserRole.ADMIN
    assert needed_for_route("POST", "/nosuch") is UserRole.ADMIN


def test_head_needs_what_get_needs():
    assert needed_for_route("HEAD", "/services") is needed_for_route("GET", "/services")


@pytest.mark.parametrize(
    ("role", "may"),
    [
        (UserRole.VIEWER, {UserRole.VIEWER}),
        (UserRole.DEPLOYER, {UserRole.VIEWER, UserRole.DEPLOYER}),
        (UserRole.ADMIN, set(UserRole)),
    ],
)
def test_each_role_may_what_the_ones_below_it_may(role, may):
    assert {needed for needed in UserRole if role.allows(needed)} == may


def test_no_viewer_changes_anything():
    """What changes something is not open to those who may look."""
    open_to_viewers = {route for route in DOCKER_ROUTES if DOCKER_ROUTES[route] is UserRole.VIEWER}
    assert {route.partition(" ")[0] for route in open_to_viewers} == {"GET"}
    calls = {call for call in CONTROL_CALLS if CONTROL_CALLS[call] is UserRole.VIEWER}
    assert not [
        call
        for call in calls
        if not call.startswith(("Get", "List", "Explain", "Service", "StreamTasks", "Watch"))
    ]


def test_a_refusal_says_who_what_and_what_is_needed():
    words = refusal_words("ann", UserRole.VIEWER, UserRole.DEPLOYER, "POST /services/create")
    for said in ('"ann"', "role viewer", "role deployer", "POST /services/create"):
        assert said in words
    assert "berth certificate issue deployer ann" in words
