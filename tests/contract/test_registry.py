"""The resolver against a real docker-registry: open, behind a password, behind tokens, over TLS."""

import asyncio

import pytest

from berth.certificates import create_authority, issue
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.errors import InvalidRequestError
from berth.model.registry_auth import RegistryAuth
from berth.model.service import Platform
from berth.wire.tls import Role
from scheduler.registry import (
    ImageNotFoundError,
    ImageResolver,
    RegistryDeniedError,
    RegistrySettings,
    RegistryUnreachableError,
)
from tests.fakes import registry as parts
from tests.fakes.registry import ADA, resolve

AMD64 = {"os": "linux", "architecture": "amd64"}
ARM64 = {"os": "linux", "architecture": "arm64", "variant": "v8"}


@pytest.fixture
def resolver():
    resolver = ImageResolver(RegistrySettings(), SystemClock())
    yield resolver
    resolver.close()


@pytest.fixture(scope="module")
def open_registry(tmp_path_factory):
    with parts.RegistryProcess(tmp_path_factory.mktemp("open")) as process:
        yield process


@pytest.fixture(scope="module")
def push(open_registry):
    with parts.Pusher(open_registry.origin) as pusher:
        yield pusher


@pytest.mark.parametrize("kind", [parts.DOCKER_MANIFEST, parts.OCI_MANIFEST])
def test_a_single_image_is_pinned_and_its_platform_read_from_its_configuration(
    open_registry, push, kind
):
    repository = f"single/{kind.split('.')[1]}"
    pushed = push.image(repository, "1.0", ARM64, kind)
    image = resolve(f"{open_registry.authority}/{repository}:1.0")
    digest = pushed["digest"]
    assert image.reference_pinned == f"{open_registry.authority}/{repository}:1.0@{digest}"
    assert image.digest == digest
    assert image.media_type == kind
    assert image.size_bytes == pushed["size"]
    assert image.platforms == (Platform("linux", "arm64", "v8"),)


@pytest.mark.parametrize("kind", [parts.DOCKER_LIST, parts.OCI_INDEX])
def test_a_list_names_its_platforms_without_attestations(open_registry, push, kind):
    part = parts.DOCKER_MANIFEST if kind == parts.DOCKER_LIST else parts.OCI_MANIFEST
    unknown = {"os": "unknown", "architecture": "unknown"}
    entries = [
        push.image("many", "", AMD64, part) | {"platform": AMD64},
        push.image("many", "", ARM64, part) | {"platform": ARM64},
        push.image("many", "", unknown, part)
        | {
            "platform": unknown,
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
        },
    ]
    document = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
    digest = push.manifest("many", "latest", document)
    image = resolve(f"{open_registry.authority}/many")
    assert image.digest == digest
    assert image.reference_pinned == f"{open_registry.authority}/many:latest@{digest}"
    assert image.media_type == kind
    assert image.platforms == (Platform("linux", "amd64"), Platform("linux", "arm64", "v8"))


def test_a_pinned_reference_stays_when_its_tag_moves(open_registry, push, resolver):
    first = push.image("moves", "1", AMD64)["digest"]
    name = f"{open_registry.authority}/moves:1"
    pinned = resolve(name, resolver=resolver).reference_pinned
    second = push.image("moves", "1", ARM64)["digest"]
    assert first != second
    assert resolve(name, resolver=resolver).digest == second
    image = resolve(pinned, resolver=resolver)
    assert image.digest == first
    assert image.platforms == (Platform("linux", "amd64"),)
    untagged = resolve(f"{open_registry.authority}/moves@{first}")
    assert untagged.reference_pinned == f"{open_registry.authority}/moves@{first}"


def test_an_absent_image_is_named_with_its_registry(open_registry, push):
    push.image("here", "1", AMD64)
    for name in ("here:2", "nowhere/at/all", f"here@sha256:{'0' * 64}"):
        with pytest.raises(ImageNotFoundError) as caught:
            resolve(f"{open_registry.authority}/{name}")
        assert f"registry {open_registry.authority} has no image" in str(caught.value)
        assert name in str(caught.value)
        assert "at all?" not in str(caught.value)


def test_a_wrong_reference_is_refused_before_anything_is_asked():
    with pytest.raises(InvalidRequestError, match='write "library/upper"'):
        resolve("Upper")


def test_many_references_are_resolved_at_once(open_registry, push, resolver):
    digests = [push.image(f"many{i}", "1", AMD64)["digest"] for i in range(20)]

    async def all_of_them():
        names = [f"{open_registry.authority}/many{i}:1" for i in range(20)]
        return await asyncio.gather(*(resolver.resolve(name, None) for name in names))

    assert [image.digest for image in asyncio.run(all_of_them())] == digests


# ---- Basic ----


@pytest.fixture(scope="module")
def closed_registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("closed")
    (folder / "htpasswd").write_text(parts.HTPASSWD)
    auth = f"auth:\n  htpasswd:\n    realm: closed\n    path: {folder / 'htpasswd'}\n"
    with parts.RegistryProcess(folder, auth) as process:
        with parts.Pusher(process.origin) as pusher:
            pusher.session.auth = (parts.USER, parts.PASSWORD)
            pusher.image("closed/app", "1", AMD64)
        yield process


def test_name_and_password_open_a_registry(closed_registry):
    image = resolve(f"{closed_registry.authority}/closed/app:1", ADA)
    assert image.platforms == (Platform("linux", "amd64"),)
    again = RegistryAuth.from_header(ADA.to_header())
    assert resolve(f"{closed_registry.authority}/closed/app:1", again) == image


@pytest.mark.parametrize(
    ("auth", "who"),
    [
        (None, "without credentials"),
        (RegistryAuth(), "without credentials"),
        (RegistryAuth("ada", "wr0ng"), 'for user "ada"'),
        (RegistryAuth("bob", "s3cret"), 'for user "bob"'),
        (RegistryAuth(identity_token="s3cret"), 'for user ""'),
    ],
)
def test_without_the_right_ones_it_stays_shut(closed_registry, auth, who):
    with pytest.raises(RegistryDeniedError) as caught:
        resolve(f"{closed_registry.authority}/closed/app:1", auth)
    text = str(caught.value)
    assert who in text
    assert f"docker login {closed_registry.authority}" in text
    assert "wr0ng" not in text
    assert "s3cret" not in text


def test_what_one_user_was_told_is_not_told_to_another(closed_registry, resolver):
    name = f"{closed_registry.authority}/closed/app:1"
    pinned = resolve(name, ADA, resolver=resolver).reference_pinned
    for reference in (name, pinned):
        with pytest.raises(RegistryDeniedError):
            resolve(reference, None, resolver=resolver)


def test_a_password_in_netrc_is_not_used(closed_registry, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {parts.USER} password {parts.PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with pytest.raises(RegistryDeniedError):
        resolve(f"{closed_registry.authority}/closed/app:1")


# ---- Bearer ----


@pytest.fixture
def tokens(tmp_path):
    service = parts.TokenService(tmp_path)
    yield service
    service.stop()


@pytest.fixture
def token_registry(tmp_path, tokens):
    with parts.RegistryProcess(tmp_path / "registry", tokens.registry_auth) as process:
        with parts.Pusher(process.origin) as pusher:
            token = tokens.token("repository:app:pull,push")
            pusher.session.headers["Authorization"] = f"Bearer {token}"
            pusher.image("app", "1", AMD64)
            pusher.image("app", "2", ARM64)
        yield process


def test_a_password_is_exchanged_for_a_token_that_is_kept(token_registry, tokens, resolver):
    for tag in ("1", "2", "1"):
        resolve(f"{token_registry.authority}/app:{tag}", ADA, resolver=resolver)
    [(method, authorization, query)] = tokens.asked
    assert method == "GET"
    assert authorization.startswith("Basic ")
    assert query == {"service": "berth-test", "scope": "repository:app:pull", "account": "ada"}


def test_a_short_lived_token_is_asked_for_again(token_registry, tokens, resolver):
    tokens.expires_in = 1  # Less than the margin: never used a second time.
    for _ in range(2):
        resolve(f"{token_registry.authority}/app:1", ADA, resolver=resolver)
    assert len(tokens.asked) == 2


def test_a_kept_token_that_is_refused_is_replaced_once(token_registry, tokens, resolver):
    good, tokens.token = tokens.token, lambda scope: good(scope, life_s=-300)
    with pytest.raises(RegistryDeniedError):
        resolve(f"{token_registry.authority}/app:1", ADA, resolver=resolver)
    tokens.token = good
    image = resolve(f"{token_registry.authority}/app:1", ADA, resolver=resolver)
    assert image.platforms == (Platform("linux", "amd64"),)


def test_an_identity_token_is_exchanged_by_post(token_registry, tokens):
    auth = RegistryAuth("<token>", identity_token=tokens.refresh_token)
    resolve(f"{token_registry.authority}/app:1", auth)
    [(method, authorization, form)] = tokens.asked
    assert (method, authorization) == ("POST", "")
    assert form["grant_type"] == "refresh_token"
    assert form["service"] == "berth-test"
    assert form["scope"] == "repository:app:pull"


def test_a_registry_token_is_sent_as_it_is(token_registry, tokens):
    auth = RegistryAuth(registry_token=tokens.token("repository:app:pull"))
    resolve(f"{token_registry.authority}/app:1", auth)
    assert tokens.asked == []
    with pytest.raises(RegistryDeniedError):
        resolve(f"{token_registry.authority}/app:1", RegistryAuth(registry_token="f4lse"))


def test_the_token_service_may_refuse_or_fail(token_registry, tokens):
    name = f"{token_registry.authority}/app:1"
    with pytest.raises(RegistryDeniedError, match=r"says 401 \(wrong password\)") as caught:
        resolve(name, RegistryAuth("ada", "wr0ng"))
    assert "wr0ng" not in str(caught.value)
    tokens.status = 503
    with pytest.raises(RegistryUnreachableError, match=r"got no token: its token service .* 503"):
        resolve(name, ADA)
    tokens.stop()
    with pytest.raises(RegistryUnreachableError, match="at its token service"):
        resolve(name, ADA)


# ---- TLS ----
# 0.0.0.0 reaches this machine like 127.0.0.1 does, and is not loopback: no exception holds for it.


@pytest.fixture(scope="module")
def tls_registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    ports = {"clock": SystemClock(), "entropy": SystemEntropy()}
    authority = create_authority(folder, **ports)
    addresses = ["0.0.0.0", "127.0.0.1"]
    tls = issue(authority, Role.SCHEDULER, "registry", addresses, folder, **ports)
    files = (tls.cert_file, tls.key_file)
    with parts.RegistryProcess(folder / "registry", tls=files) as process:
        with parts.Pusher(process.origin) as pusher:
            pusher.session.verify = str(tls.ca_file)
            pusher.image("app", "1", AMD64)
        process.ca_file = str(tls.ca_file)
        yield process


def from_outside(registry):
    return registry.authority.replace("127.0.0.1", "0.0.0.0")


def test_a_registry_of_an_unknown_authority_is_refused(tls_registry):
    with pytest.raises(RegistryUnreachableError, match="no TLS that can be trusted") as caught:
        resolve(f"{from_outside(tls_registry)}/app:1")
    assert "insecure_registries" in str(caught.value)


def test_a_registry_of_a_known_authority_is_trusted(tls_registry):
    image = resolve(f"{from_outside(tls_registry)}/app:1", ca_file=tls_registry.ca_file)
    assert image.platforms == (Platform("linux", "amd64"),)


def test_loopback_and_listed_registries_need_not_be_known(tls_registry):
    resolve(f"{tls_registry.authority}/app:1")
    outside = from_outside(tls_registry)
    resolve(f"{outside}/app:1", insecure_registries=("0.0.0.0/32",))
    resolve(f"{outside}/app:1", insecure_registries=(outside,))


def test_plain_http_is_spoken_only_to_loopback_and_listed_registries(open_registry, push):
    push.image("plain", "1", AMD64)
    outside = from_outside(open_registry)
    with pytest.raises(RegistryUnreachableError, match="no TLS that can be trusted"):
        resolve(f"{outside}/plain:1", ADA)
    resolve(f"{outside}/plain:1", insecure_registries=(outside,))
