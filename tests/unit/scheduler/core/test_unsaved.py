"""Whether anything is to be written."""

from dataclasses import fields

from scheduler.core.unsaved import Unsaved


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
