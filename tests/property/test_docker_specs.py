"""Docker's JSON -> the model -> JSON loses nothing; defaults made explicit change nothing."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from berth.model.service import Device, ServiceSpec
from berth.wire.convert import from_proto, to_proto
from gateway.translate.defaults import settled, with_defaults
from gateway.translate.spec_in import read_service_spec
from gateway.translate.spec_out import write_service_spec
from tests.property.docker_specs import service_specs


@given(service_specs)
def test_what_docker_sends_comes_back_as_it_was(sent: dict[str, Any]) -> None:
    assert write_service_spec(read_service_spec(sent)) == sent


@given(service_specs, st.data())
def test_the_case_of_keys_does_not_matter(sent: dict[str, Any], data: st.DataObject) -> None:
    change = data.draw(st.sampled_from([str.lower, str.upper, str.swapcase]))
    assert read_service_spec(recased(sent, change)) == read_service_spec(sent)


@given(service_specs)
def test_the_wire_between_gateway_and_leader_loses_nothing(sent: dict[str, Any]) -> None:
    spec = read_service_spec(sent)
    assert from_proto(ServiceSpec, to_proto(spec)) == spec


@given(service_specs)
def test_reading_with_defaults_and_writing_back_changes_nothing(sent: dict[str, Any]) -> None:
    """What docker-py does when it scales or labels a service: no task may be restarted."""
    stored = read_service_spec(sent)
    shown = json.loads(json.dumps(write_service_spec(with_defaults(stored))))
    assert settled(read_service_spec(shown), stored) == stored


@given(service_specs)
def test_what_docker_has_no_words_for_survives_an_update(sent: dict[str, Any]) -> None:
    spec = read_service_spec(sent)
    container = replace(
        spec.task.container, devices=(Device("/dev/fuse"),), privileged=True, shm_size_bytes=64
    )
    stored = replace(spec, task=replace(spec.task, container=container))
    shown = write_service_spec(stored)
    assert settled(read_service_spec(shown), stored) == stored


@given(service_specs, service_specs)
def test_a_change_is_taken_as_meant(before: dict[str, Any], sent: dict[str, Any]) -> None:
    """With every default written out, the result is what was sent, whatever was stored."""
    stored, wanted = read_service_spec(before), read_service_spec(sent)
    found = settled(wanted, stored)
    assert plain(with_defaults(found)) == plain(with_defaults(wanted))


def plain(spec: ServiceSpec) -> Any:
    """Return a spec as JSON without what says nothing: 0 for a health check's times and such."""
    return pruned(write_service_spec(spec))


def pruned(value: Any) -> Any:
    if isinstance(value, dict):
        found = {key: pruned(inner) for key, inner in value.items()}
        return {key: inner for key, inner in found.items() if inner not in (None, {}, [], 0, "")}
    if isinstance(value, list):
        return [pruned(inner) for inner in value]
    return value


USERS_KEYS = {"Labels", "Sysctls", "Options", "DriverOpts"}


def recased(value: Any, change: Any, key: str = "") -> Any:
    """Return `value` with the keys of its structs changed, and not those that are the user's."""
    if isinstance(value, list):
        return [recased(inner, change) for inner in value]
    if isinstance(value, dict) and key not in USERS_KEYS:
        return {change(name): recased(inner, change, name) for name, inner in value.items()}
    return value
