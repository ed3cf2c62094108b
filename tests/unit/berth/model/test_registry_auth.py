import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.errors import InvalidRequestError
from berth.model.registry_auth import RegistryAuth


def header(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


ADA = RegistryAuth(username="ada", password="s3cret>>>???", server_address="r.io")


@pytest.mark.parametrize(
    ("text", "auth"),
    [
        pytest.param("", RegistryAuth(), id="nothing"),
        pytest.param("e30=", RegistryAuth(), id="an empty object"),
        pytest.param(ADA.to_header(), ADA, id="padded base64url"),
        pytest.param(ADA.to_header().rstrip("="), ADA, id="without padding"),
        pytest.param(
            ADA.to_header().replace("-", "+").replace("_", "/"), ADA, id="the standard alphabet"
        ),
        pytest.param(
            header({"Username": "ada", "Password": "p", "email": None, "auth": ""}),
            RegistryAuth("ada", "p"),
            id="other cases and fields that do not matter",
        ),
        pytest.param(
            header({"auth": base64.b64encode(b"ada:p:q").decode(), "serveraddress": "r.io"}),
            RegistryAuth("ada", "p:q", server_address="r.io"),
            id="name and password joined, as in config.json",
        ),
        pytest.param(
            header({"identitytoken": "t", "username": "<token>"}),
            RegistryAuth("<token>", identity_token="t"),
            id="an identity token",
        ),
        pytest.param(
            header({"registrytoken": "t"}), RegistryAuth(registry_token="t"), id="a registry token"
        ),
    ],
)
def test_reads_the_header_of_every_client(text, auth):
    assert RegistryAuth.from_header(text) == auth


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("s3cret!", "not JSON in base64url"),
        ("s3cret", "not JSON in base64url"),
        (header(["s3cret"]), "not an object"),
        (header({"password": ["s3cret"]}), '"password" is not text'),
        (header({"auth": "s3cret!"}), '"auth" is not base64'),
        (header({"auth": base64.b64encode(b"s3cret").decode()}), "not USER:PASSWORD"),
    ],
)
def test_refuses_the_rest_without_quoting_it(text, problem):
    with pytest.raises(InvalidRequestError, match=problem) as caught:
        RegistryAuth.from_header(text)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_nothing_that_prints_it_shows_a_secret():
    auth = RegistryAuth("ada", "s3cret1", "s3cret2", "s3cret3", "r.io")
    assert "s3cret" not in f"{auth!r} {auth} {[auth]}"
    assert "ada" in repr(auth)


@pytest.mark.parametrize(
    ("auth", "is_anonymous"),
    [
        (RegistryAuth(), True),
        (RegistryAuth(server_address="r.io"), True),
        (RegistryAuth(username="ada"), False),
        (RegistryAuth(identity_token="t"), False),
        (RegistryAuth(registry_token="t"), False),
    ],
)
def test_knows_whether_anything_is_proved(auth, is_anonymous):
    assert auth.is_anonymous is is_anonymous


@given(st.builds(RegistryAuth, *[st.text()] * 5))
def test_what_is_written_is_read(auth):
    # A password without a name is nothing that Docker sends; it is kept all the same.
    assert RegistryAuth.from_header(auth.to_header()) == auth
