"""Image names and challenges are taken apart as Docker takes them apart."""

import pytest

from orchestrator.core.registry_api import (
    BasicChallenge,
    BearerChallenge,
    Challenge,
    ImageAddress,
    api_host,
    challenge_of,
    image_address,
    is_loopback,
)

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image", "host", "repository", "reference"),
    [
        ("busybox", "registry-1.docker.io", "library/busybox", "latest"),
        ("team/app:2", "registry-1.docker.io", "team/app", "2"),
        ("docker.io/library/x:1", "registry-1.docker.io", "library/x", "1"),
        ("docker.io/x", "registry-1.docker.io", "library/x", "latest"),
        ("reg.io:5000/a/b", "reg.io:5000", "a/b", "latest"),
        ("reg.io:5000/a:1.0_x", "reg.io:5000", "a", "1.0_x"),
        (f"reg.io/a@{DIGEST}", "reg.io", "a", DIGEST),
        (f"reg.io/a:1@{DIGEST}", "reg.io", "a", DIGEST),
        ("localhost/a", "localhost", "a", "latest"),
    ],
)
def test_an_image_is_found_where_docker_looks(image: str, host: str, repository: str, reference: str) -> None:
    """Docker Hub's short names, ports, tags and digests."""
    assert image_address(image) == ImageAddress(host=host, repository=repository, reference=reference)


@pytest.mark.parametrize(
    "image", ["", "reg.io/", "reg.io/UPPER", "reg.io/a b", "reg.io/../x", "reg.io/a:b/c d", "reg.io/a@x", "r.io/a?b"]
)
def test_what_is_no_image_has_no_address(image: str) -> None:
    """Nothing that could change the URL's meaning gets into it."""
    assert image_address(image) is None


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ([], None),
        (["Negotiate"], None),
        (['Basic realm="x"'], BasicChallenge()),
        (["basic"], BasicChallenge()),
        (
            ['Bearer realm="https://a/t",service="s",scope="r:c:pull,push"'],
            BearerChallenge(realm="https://a/t", service="s", scope="r:c:pull,push"),
        ),
        (["BEARER Realm=https://a/t , Service = s"], BearerChallenge(realm="https://a/t", service="s", scope="")),
        (
            ['Basic realm="x, Bearer", Bearer realm="https://a"'],
            BearerChallenge(realm="https://a", service="", scope=""),
        ),
        (['Basic realm="x"', 'Bearer realm="https://a"'], BearerChallenge(realm="https://a", service="", scope="")),
        (['Bearer service="no realm"', 'Basic realm="x"'], BasicChallenge()),
        (['Bearer realm="a\\"b"'], BearerChallenge(realm='a"b', service="", scope="")),
        (['Bearer realm="unclosed'], None),
    ],
)
def test_a_challenge_is_chosen_as_docker_chooses(headers: list[str], challenge: Challenge | None) -> None:
    """Bearer before Basic, names in any case, commas and quotes inside quotes."""
    assert challenge_of(headers) == challenge


@pytest.mark.parametrize(
    ("name", "host"),
    [("index.docker.io/v1/", "registry-1.docker.io"), ("reg.io:5000", "reg.io:5000"), ("reg.io/team/", "reg.io")],
)
def test_a_key_is_tried_at_its_host(name: str, host: str) -> None:
    """Docker Hub's key names no host that serves the API."""
    assert api_host(name) == host


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:5000", True),
        ("127.9.9.9:5000", True),
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1.example.com", False),
        ("localhost.example.com:5000", False),
        ("registry.example.com", False),
        ("10.0.0.1:5000", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, *, expected: bool) -> None:
    """No name that merely looks like loopback is asked without TLS."""
    assert is_loopback(host) is expected
