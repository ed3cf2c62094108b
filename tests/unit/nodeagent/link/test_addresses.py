"""Which scheduler is tried next."""

from nodeagent.link.addresses import AddressBook


def test_it_goes_round_what_was_learnt_then_what_was_configured():
    book = AddressBook(["c:1", "a:1"], ["a:1", "b:1"])
    assert [book.take() for _ in range(4)] == ["a:1", "b:1", "c:1", "a:1"]


def test_a_hint_comes_first_and_once():
    book = AddressBook(["a:1", "b:1"], [])
    book.prefer("z:1")
    assert [book.take() for _ in range(3)] == ["z:1", "a:1", "b:1"]


def test_learning_the_same_again_does_not_begin_the_round_anew():
    book = AddressBook(["a:1", "b:1"], [])
    book.take()
    book.learn(["a:1"])
    assert book.take() == "b:1"
    book.learn(["n:1"])
    assert book.addresses == ("n:1", "a:1", "b:1")
    assert book.take() == "n:1"


def test_other_addresses_of_the_settings_join_what_was_told():
    book = AddressBook(["a:1", "b:1"], ["n:1"])
    book.configure(["b:1", "c:1"])
    assert book.addresses == ("n:1", "b:1", "c:1")
