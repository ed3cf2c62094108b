"""How a service's record moves from spec to spec."""

import pytest

from berth.errors import ConflictError
from berth.model.service import ServiceSpec
from scheduler.core.service_record import (
    FORMER_IMAGES_KEPT,
    UpdateState,
    create_record,
    prune_templates,
    roll_back,
    template_of,
    update_spec,
)
from tests.builders import a_spec
from tests.unit.scheduler.core.builders import NOW, SERVICE, an_updated_record

U = UpdateState


def test_a_new_service_has_one_template_and_no_past() -> None:
    record = create_record(SERVICE, a_spec(), NOW.timestamp, b"sealed")
    assert (record.version, record.template_version, list(record.templates)) == (1, 1, [1])
    assert (record.previous_spec, record.update_status, record.sealed_auth) == (
        None,
        None,
        b"sealed",
    )
    assert record.template == template_of(a_spec())


@pytest.mark.parametrize(
    ("new", "template_version"),
    [
        pytest.param(a_spec(image="app:2"), 2, id="another image replaces tasks"),
        pytest.param(a_spec(port=80), 2, id="another port replaces tasks"),
        pytest.param(a_spec(constraints=("node.id==n1",)), 2, id="another place may move tasks"),
        pytest.param(a_spec(replicas=7), 1, id="scaling replaces none"),
        pytest.param(a_spec(labels={"a": "b"}), 1, id="a label replaces none"),
        pytest.param(a_spec(), 1, id="the very same replaces none"),
    ],
)
def test_the_version_always_moves_the_templates_only_with_substance(
    new: ServiceSpec, template_version: int
) -> None:
    record = update_spec(create_record(SERVICE, a_spec(), NOW.timestamp), new, NOW.timestamp, b"")
    assert (record.version, record.template_version) == (2, template_version)
    assert record.previous_spec == a_spec()
    assert record.template == template_of(new)


def test_undoing_an_update_by_hand_takes_the_old_template_up_again() -> None:
    record = update_spec(
        an_updated_record(a_spec(), a_spec(image="app:2")), a_spec(), NOW.timestamp, b""
    )
    assert (record.version, record.template_version) == (3, 1)


def test_an_update_forgets_a_paused_rollout() -> None:
    record = an_updated_record(status=U.PAUSED)
    assert update_spec(record, a_spec(image="app:3"), NOW.timestamp, b"").update_status is None


def test_a_rollback_swaps_specs_and_credentials_and_begins() -> None:
    first = create_record(SERVICE, a_spec(), NOW.timestamp, b"old")
    record = update_spec(first, a_spec(image="app:2"), NOW.timestamp, b"new")
    back = roll_back(record, NOW.timestamp, "asked for")
    assert (back.version, back.template_version) == (3, 1)
    assert (back.spec, back.previous_spec) == (a_spec(), a_spec(image="app:2"))
    assert (back.sealed_auth, back.previous_sealed_auth) == (b"old", b"new")
    assert back.update_status is not None
    assert (back.update_status.state, back.update_status.message) == (
        U.ROLLBACK_STARTED,
        "asked for",
    )


def test_what_was_never_updated_cannot_be_rolled_back() -> None:
    record = create_record(SERVICE, a_spec(), NOW.timestamp)
    with pytest.raises(ConflictError, match='service "web" has no previous spec'):
        roll_back(record, NOW.timestamp, "")


def test_templates_in_use_are_kept_and_others_go() -> None:
    record = an_updated_record()
    assert prune_templates(record, {1}) is record
    assert list(prune_templates(record, set()).templates) == [2]


def test_images_of_templates_that_went_are_known_for_a_while() -> None:
    record = create_record(SERVICE, a_spec(image="app:1"), NOW.timestamp)
    for number in range(2, 30):
        record = update_spec(record, a_spec(image=f"app:{number}"), NOW.timestamp, b"")
        record = prune_templates(record, set())
    assert record.image(29) == "app:29"
    assert record.image(28) == "app:28"
    assert record.image(1) == ""
    assert len(record.former_images) == FORMER_IMAGES_KEPT


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        pytest.param(a_spec(), True, id="the same"),
        pytest.param(a_spec(constraints=("node.id==n1",)), True, id="only placed elsewhere"),
        pytest.param(a_spec(image="app:2"), False, id="another image"),
        pytest.param(a_spec(port=80), False, id="another port"),
    ],
)
def test_which_templates_make_the_same_container(other: ServiceSpec, alike: bool) -> None:
    assert template_of(a_spec()).runs_like(template_of(other)) is alike


@pytest.mark.parametrize(
    ("state", "flags"),
    [
        (U.UPDATING, "active"),
        (U.PAUSED, "paused"),
        (U.COMPLETED, ""),
        (U.ROLLBACK_STARTED, "active rollback"),
        (U.ROLLBACK_PAUSED, "paused rollback"),
        (U.ROLLBACK_COMPLETED, "rollback"),
    ],
)
def test_what_update_states_mean(state: UpdateState, flags: str) -> None:
    shown = {"active": state.is_active, "paused": state.is_paused, "rollback": state.is_rollback}
    assert " ".join(name for name, holds in shown.items() if holds) == flags


def test_the_label_of_a_fence_makes_a_service_fenced() -> None:
    fenced = a_spec(labels={"berth.fence": "after:30s"})
    assert create_record(SERVICE, fenced, NOW.timestamp).is_fenced
    assert not create_record(SERVICE, a_spec(), NOW.timestamp).is_fenced
