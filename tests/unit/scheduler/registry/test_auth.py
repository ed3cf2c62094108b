import pytest

from berth.model.instant import Instant
from berth.model.registry_auth import RegistryAuth
from scheduler.registry.auth import (
    Challenge,
    TokenCache,
    TokenRequest,
    choose_challenge,
    parse_challenges,
    plan_token_request,
    token_from_answer,
)

BEARER = Challenge("bearer", {"realm": "https://t/token", "service": "r", "scope": "s:a:pull"})
BASIC = Challenge("basic", {"realm": "x"})


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ("", ()),
        ('Basic realm="x"', (BASIC,)),
        ("basic realm=x", (BASIC,)),
        ('Bearer realm="https://t/token",service="r",scope="s:a:pull"', (BEARER,)),
        ('Bearer realm="https://t/token" , service="r" ,scope="s:a:pull"', (BEARER,)),
        ('Bearer realm="https://t/token",service="r",scope="s:a:pull", Basic realm="x"',
         (BEARER, BASIC)),
        ('Basic realm="x", Bearer realm="https://t/token",service=r,scope="s:a:pull"',
         (BASIC, BEARER)),
        ('Bearer scope="a,b",REALM="c\\"d"',
         (Challenge("bearer", {"scope": "a,b", "realm": 'c"d'}),)),
        ("Negotiate, Basic realm=x", (Challenge("negotiate", {}), BASIC)),
        ("Basic", (Challenge("basic", {}),)),
        ('="x"', ()),
    ],
)  # fmt: skip
def test_every_form_of_challenge_is_read(header, challenges):
    assert parse_challenges(header) == challenges


def test_a_header_made_to_be_slow_is_read_fast():
    assert parse_challenges(" ," * 30_000 + "=") == ()


@pytest.mark.parametrize(
    ("challenges", "chosen"),
    [
        ((), None),
        ((BASIC,), BASIC),
        ((BASIC, BEARER), BEARER),
        ((Challenge("bearer", {}), BASIC), BASIC),
        ((Challenge("negotiate", {}),), None),
    ],
)
def test_bearer_is_preferred_where_it_says_who_gives_tokens(challenges, chosen):
    assert choose_challenge(challenges) == chosen


@pytest.mark.parametrize(
    ("auth", "request_"),
    [
        pytest.param(
            None,
            TokenRequest("https://t/token", {"service": "r", "scope": "s:a:pull"}, None, ""),
            id="anonymous",
        ),
        pytest.param(
            RegistryAuth("ada", "p"),
            TokenRequest(
                "https://t/token",
                {"service": "r", "scope": "s:a:pull", "account": "ada"},
                None,
                "Basic YWRhOnA=",
            ),
            id="name and password",
        ),
        pytest.param(
            RegistryAuth("ada", "p", identity_token="i"),
            TokenRequest(
                "https://t/token",
                {},
                {
                    "grant_type": "refresh_token",
                    "refresh_token": "i",
                    "client_id": "berth",
                    "service": "r",
                    "scope": "s:a:pull",
                },
                "",
            ),
            id="an identity token goes before a password",
        ),
    ],
)
def test_how_a_token_is_asked_for(auth, request_):
    assert plan_token_request(BEARER, auth, "unused") == request_


def test_a_challenge_without_scope_gets_ours():
    plain = Challenge("bearer", {"realm": "https://t/token"})
    assert plan_token_request(plain, None, "s:b:pull").query == {"scope": "s:b:pull"}


@pytest.mark.parametrize(
    ("document", "token"),
    [
        ({"token": "t", "expires_in": 300}, ("t", 300.0)),
        ({"access_token": "t"}, ("t", 60.0)),
        ({"token": "t", "expires_in": "soon"}, ("t", 60.0)),
        ({"token": "t", "expires_in": -1}, ("t", 60.0)),
        ({"token": "t", "expires_in": True}, ("t", 60.0)),
        ({"token": "t\r\nX: y"}, None),
        ({"token": 3}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_what_a_token_service_may_answer(document, token):
    assert token_from_answer(document) == token


class HandClock:
    """Time that stands still until it is moved."""

    def __init__(self):
        self.now = Instant(100.0)

    def instant(self):
        return self.now


def test_a_token_is_kept_until_shortly_before_it_ends():
    clock = HandClock()
    cache = TokenCache(clock)
    given = iter(["one", "two"])

    def fetch(_):
        return next(given), 60.0

    request = plan_token_request(BEARER, RegistryAuth("ada", "p"), "")
    assert cache.token(request, fetch) == "one"
    clock.now = Instant(149.9)
    assert cache.token(request, fetch) == "one"
    clock.now = Instant(150.0)
    assert cache.token(request, fetch) == "two"


def test_a_token_serves_only_who_and_what_it_was_given_for():
    cache = TokenCache(HandClock())
    other_scope = Challenge("bearer", {**BEARER.parameters, "scope": "s:b:pull"})
    other_realm = Challenge("bearer", {**BEARER.parameters, "realm": "https://u/token"})
    requests = [
        plan_token_request(BEARER, None, ""),
        plan_token_request(BEARER, RegistryAuth("ada", "p"), ""),
        plan_token_request(BEARER, RegistryAuth("ada", "q"), ""),
        plan_token_request(BEARER, RegistryAuth(identity_token="i"), ""),
        plan_token_request(BEARER, RegistryAuth(identity_token="j"), ""),
        plan_token_request(other_scope, RegistryAuth("ada", "p"), ""),
        plan_token_request(other_realm, RegistryAuth("ada", "p"), ""),
    ]
    tokens = [cache.token(r, lambda _, i=i: (f"t{i}", 60.0)) for i, r in enumerate(requests)]
    assert tokens == [f"t{i}" for i in range(len(requests))]
    cache.forget(requests[0])
    again = [cache.token(r, lambda _: ("new", 60.0)) for r in requests]
    assert again == ["new", *tokens[1:]]
