"""What differs from the store, and taking a part of it."""

from dataclasses import fields

from berth.model.ids import NodeId, ServiceId
from scheduler.core.unsaved import Unsaved

N1, N2, N3 = NodeId("n1"), NodeId("n2"), NodeId("n3")


def test_nothing_is_unsaved_at_first() -> None:
    assert not Unsaved()


def test_each_kind_of_document_counts() -> None:
    for kind in fields(Unsaved):
        unsaved = Unsaved()
        if isinstance(getattr(unsaved, kind.name), dict):
            getattr(unsaved, kind.name)["it"] = None
        else:
            setattr(unsaved, kind.name, True)
        assert unsaved, f"{kind.name} is written"


def test_the_placements_changed_last_are_split_off() -> None:
    unsaved = Unsaved(services={ServiceId("web"): None}, placements=dict.fromkeys([N2, N1, N3]))
    assert list(unsaved.split_off(2)) == [N3]
    assert list(unsaved.placements) == [N2, N1]
    assert list(unsaved.services) == ["web"]


def test_what_fits_is_left_whole() -> None:
    unsaved = Unsaved(placements=dict.fromkeys([N1, N2]))
    assert unsaved.split_off(2) == {}
    assert unsaved.split_off(None) == {}
    assert list(unsaved.placements) == [N1, N2]
