"""References as Docker reads and prints them. The rows follow the grammar of distribution."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.errors import InvalidRequestError
from berth.model.image import ImageReference, normalised_platform, platform_text
from berth.model.service import Platform

HEX = "0123456789abcdef" * 4
SHA = f"sha256:{HEX}"
LONG = "a" * 255


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest", "familiar"),
    [
        ("busybox", "docker.io", "library/busybox", "latest", "", "busybox:latest"),
        ("busybox:1.36", "docker.io", "library/busybox", "1.36", "", "busybox:1.36"),
        (f"busybox@{SHA}", "docker.io", "library/busybox", "", SHA, f"busybox@{SHA}"),
        (f"busybox:1@{SHA}", "docker.io", "library/busybox", "1", SHA, f"busybox:1@{SHA}"),
        ("library/busybox", "docker.io", "library/busybox", "latest", "", "busybox:latest"),
        ("docker.io/busybox", "docker.io", "library/busybox", "latest", "", "busybox:latest"),
        ("docker.io/library/busybox:1", "docker.io", "library/busybox", "1", "", "busybox:1"),
        ("index.docker.io/busybox", "docker.io", "library/busybox", "latest", "", "busybox:latest"),
        ("index.docker.io/a/b", "docker.io", "a/b", "latest", "", "a/b:latest"),
        ("a/b", "docker.io", "a/b", "latest", "", "a/b:latest"),
        ("a/b/c:2", "docker.io", "a/b/c", "2", "", "a/b/c:2"),
        ("library/a/b", "docker.io", "library/a/b", "latest", "", "library/a/b:latest"),
        ("docker.io/a.b/c", "docker.io", "a.b/c", "latest", "", "docker.io/a.b/c:latest"),
        ("host:5000/a/b:tag", "host:5000", "a/b", "tag", "", "host:5000/a/b:tag"),
        ("host:5000/a", "host:5000", "a", "latest", "", "host:5000/a:latest"),
        (f"host:5000/a@{SHA}", "host:5000", "a", "", SHA, f"host:5000/a@{SHA}"),
        ("localhost/a", "localhost", "a", "latest", "", "localhost/a:latest"),
        ("localhost:5000/a:1", "localhost:5000", "a", "1", "", "localhost:5000/a:1"),
        ("localhost:5000", "docker.io", "library/localhost", "5000", "", "localhost:5000"),
        ("127.0.0.1:5000/a/b", "127.0.0.1:5000", "a/b", "latest", "", "127.0.0.1:5000/a/b:latest"),
        ("[::1]:5000/a", "[::1]:5000", "a", "latest", "", "[::1]:5000/a:latest"),
        ("[2001:db8::1]/a:1", "[2001:db8::1]", "a", "1", "", "[2001:db8::1]/a:1"),
        ("ghcr.io/o/r:v1", "ghcr.io", "o/r", "v1", "", "ghcr.io/o/r:v1"),
        ("UPPER/a", "UPPER", "a", "latest", "", "UPPER/a:latest"),
        ("Host.Example:80/a", "Host.Example:80", "a", "latest", "", "Host.Example:80/a:latest"),
        ("test.com:tag", "docker.io", "library/test.com", "tag", "", "test.com:tag"),
        ("foo_bar.com:8080", "docker.io", "library/foo_bar.com", "8080", "", "foo_bar.com:8080"),
        ("foo/foo_bar.com:8080", "docker.io", "foo/foo_bar.com", "8080", "", None),
        ("a__b/c", "docker.io", "a__b/c", "latest", "", "a__b/c:latest"),
        ("a---b/c-d", "docker.io", "a---b/c-d", "latest", "", "a---b/c-d:latest"),
        ("xn--n3h.com/my:xn--n3h.com", "xn--n3h.com", "my", "xn--n3h.com", "", None),
        ("a:_T.a-g", "docker.io", "library/a", "_T.a-g", "", "a:_T.a-g"),
        ("a:" + "t" * 128, "docker.io", "library/a", "t" * 128, "", None),
        (f"docker.io/{HEX}", "docker.io", f"library/{HEX}", "latest", "", f"{HEX}:latest"),
        (f"r.io/{LONG}", "r.io", LONG, "latest", "", f"r.io/{LONG}:latest"),
        (f"a@sha512:{HEX}{HEX}", "docker.io", "library/a", "", f"sha512:{HEX}{HEX}", None),
        ("0/1/2", "docker.io", "0/1/2", "latest", "", "0/1/2:latest"),
    ],
)
def test_reads_what_docker_reads(text, registry, repository, tag, digest, familiar):
    reference = ImageReference.from_text(text)
    assert reference == ImageReference(registry, repository, tag, digest)
    assert reference.familiar == (familiar or text)
    assert ImageReference.from_text(reference.familiar) == reference
    assert ImageReference.from_text(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        (HEX, "a bare hash is an image ID"),
        ("Busybox", 'write "library/busybox"'),
        ("host:5000/A/b", 'write "a/b"'),
        ("a:", '"" is not a tag'),
        ("a:-x", '"-x" is not a tag'),
        ("a:.x", '".x" is not a tag'),
        ("a:" + "t" * 129, "is not a tag"),
        ("a:b:c", '"b:c" is not a tag'),
        ("a:é", "is not a tag"),
        ("a@", '"" is not a digest'),
        ("a@sha256:abc", '"sha256:abc" is not a digest'),
        (f"a@sha256:{HEX.upper()}", "is not a digest"),
        (f"a@md5:{HEX[:32]}", "is not a digest"),
        (f"a@{SHA}@{SHA}", "is not a digest"),
        (f"a@{SHA}:tag", "is not a digest"),
        ("/a", '"/a" is not a repository'),
        ("a/", '"a/" is not a repository'),
        ("a//b", '"a//b" is not a repository'),
        ("a/-b", "is not a repository"),
        ("a..b/c", '"a..b" is not a registry'),
        ("a.b-/c", '"a.b-" is not a registry'),
        ("x___y/z", "is not a repository"),
        ("a b", "is not a repository"),
        ("a\n", "is not a repository"),
        ("a:1\n", "is not a tag"),
        ("http://r.io/a", '"http:" is not a registry'),
        ("r.io:port/a", '"r.io:port" is not a registry'),
        ("[fe80::1%25eth0]:5000/a", "is not a registry"),
        ("-r.io/a", '"-r.io" is not a registry'),
        (f"r.io/{LONG}a", "256 characters long"),
        ("$HOME/a", "is not a registry"),
        (f"@{SHA}", "is not a repository"),
    ],
)
def test_refuses_what_docker_refuses_and_says_why(text, problem):
    with pytest.raises(InvalidRequestError) as caught:
        ImageReference.from_text(text)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f'invalid image reference "{text}": ')


def test_pinning_keeps_the_tag_for_people():
    pinned = ImageReference.from_text("busybox:1.36").pinned(SHA)
    assert pinned.familiar == f"busybox:1.36@{SHA}"
    assert pinned.is_pinned
    assert str(pinned) == f"docker.io/library/busybox:1.36@{SHA}"
    with pytest.raises(InvalidRequestError, match="is not a digest"):
        pinned.pinned("sha256:short")


_COMPONENTS = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)?", fullmatch=True)


@given(
    registry=st.sampled_from(["docker.io", "localhost", "r.io", "h:5000", "[::1]:80"]),
    components=st.lists(_COMPONENTS, min_size=1, max_size=4),
    tag=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True) | st.just(""),
    digest=st.sampled_from(["", SHA]),
)
def test_what_is_printed_is_read_back(registry, components, tag, digest):
    text = "/".join([registry, *components]) + (tag and f":{tag}") + (digest and f"@{digest}")
    reference = ImageReference.from_text(text)
    assert ImageReference.from_text(reference.familiar) == reference
    assert ImageReference.from_text(str(reference)) == reference


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (Platform("linux", "x86_64"), Platform("linux", "amd64")),
        (Platform("Linux", "aarch64"), Platform("linux", "arm64")),
        (Platform("linux", "armv7l"), Platform("linux", "arm")),
        (Platform("linux", "arm", "V7"), Platform("linux", "arm", "v7")),
        (Platform("windows", "AMD64"), Platform("windows", "amd64")),
        (Platform("linux", "s390x"), Platform("linux", "s390x")),
    ],
)
def test_platforms_are_compared_in_gos_words(said, meant):
    assert normalised_platform(said) == meant


def test_a_platform_prints_as_docker_prints_it():
    assert platform_text(Platform("linux", "arm64", "v8")) == "linux/arm64/v8"
    assert platform_text(Platform("linux", "amd64")) == "linux/amd64"
