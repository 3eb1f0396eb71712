"""A week of nights with Debian's docker-registry: it refuses a login the moment that it is revoked."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import boto3
import pytest

from orchestrator.connections import Network
from orchestrator.core.credential_formats import recognise
from orchestrator.lab.scenario import Ssm
from orchestrator.registry.client import ProbeOutcome
from orchestrator.registry.probe import probe
from tests.registry.certificates import Authority, make_authority
from tests.registry.test_docker_registry import docker_registry, login
from tests.scenario.conftest import Answer, Workplace, fleet
from tests.scenario.test_rotate import labels, rotate

Start = Callable[..., Workplace]
# bcrypt, made once: the registry knows no other hash.
HASHES = {
    "first-login": "$2b$04$abcdefghijklmnopqrstuuctioYGZx/lW16tV0hGmrbdpHgkPUhcK",
    "second-login": "$2b$04$bcdefghijklmnopqrstuveqobwuwexYadokbOc3/fs9PxFjXAh.Ka",
    "third-login": "$2b$04$cdefghijklmnopqrstuvwepqUifJEtPczhJCJ21g4wylIoyWoh4/a",
    "fourth-login": "$2b$04$defghijklmnopqrstuvwxe0veNqhIHzAFvnd40g/0Pit.4r10hP9i",
}
AT_ONCE = ("--waves=100%", "--max-unavailable=100%", "--max-unreachable=50%")


@dataclass
class Registry:
    """The real one."""

    address: str
    file: Path
    authority: Authority
    accepted: tuple[tuple[str, str], ...] = ()

    def accept(self, *logins: tuple[str, str]) -> None:
        """Accept just these from now on; the registry looks at the file's time."""
        self.accepted = logins
        self.file.write_text("".join(f"{user}:{HASHES[password]}\n" for user, password in logins))

    def takes(self, user: str, password: str) -> bool:
        (found,) = probe(login(self.address, user, password), (), network=Network(ca_bundle=str(self.authority.bundle)))
        return found.outcome is ProbeOutcome.ACCEPTED


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    directory = tmp_path / "registry"
    directory.mkdir()
    authority = make_authority(directory)
    file = directory / "htpasswd"
    file.write_text("")
    with docker_registry(directory, authority, f"  htpasswd: {{realm: here, path: {file}}}") as address:
        yield Registry(address, file, authority)


def pend(registry: Registry, user: str, password: str) -> str:
    text = json.dumps({registry.address: {"username": user, "password": password}})
    client = boto3.client("secretsmanager")
    put = client.put_secret_value(SecretId="registry", SecretString=text, VersionStages=["AWSPENDING"])
    return put["VersionId"]


def held(place: Workplace, registry: Registry) -> set[tuple[str, str]]:
    """Read the login of every instance from its env file."""
    found = set()
    for host in place.lab.hosts.values():
        lines = (host.root / "etc/ecs/ecs.config").read_text().splitlines()
        data = next(line.partition("=")[2] for line in lines if line.startswith("ECS_ENGINE_AUTH_DATA="))
        entry = next(each for each in recognise(data).credential.entries if each.key == registry.address)
        found.add((entry.login.username, entry.login.password))
    return found


def test_a_week_with_a_registry_that_revokes(workplace: Start, registry: Registry) -> None:
    """Every night what the instances hold is accepted; an old login is revoked at our word, and refused from then on.

    A new login, another, one that the registry does not know, the same once it knows it, none, one while an instance
    is out of reach, and none again, when that one is back.
    """
    place = workplace(*fleet(2))
    # A registry has one password for each user, so two take turns.
    first, third = ("blue", "first-login"), ("blue", "third-login")
    second, fourth = ("green", "second-login"), ("green", "fourth-login")
    registry.accept(first)
    place.put_secret({registry.address: {"username": first[0], "password": first[1]}})

    def night() -> Answer:
        done = rotate(place, f"--ca-bundle={registry.authority.bundle}", *AT_ONCE, "--output", "json")
        if done.out and (done.report if "verdict" in done.report else done.report["overlap"])["verdict"] == "unused":
            registry.accept(*(each for each in registry.accepted if each in held(place, registry)))
        assert all(registry.takes(*each) for each in held(place, registry))
        return done

    def ends(done: Answer, code: int, current: str, *logins: tuple[str, str]) -> None:
        assert (done.code, labels()["AWSCURRENT"], held(place, registry)) == (code, current, {*logins}), done.err

    ends(night(), 0, labels()["AWSCURRENT"], first)
    registry.accept(first, second)
    version = pend(registry, *second)
    ends(night(), 0, version, second)
    assert not registry.takes(*first), "nobody used it any more, so it was revoked"
    third_version = pend(registry, *third)  # which the registry does not know
    ends(night(), 3, version, second)
    registry.accept(second, third)
    ends(night(), 0, third_version, third)
    assert not registry.takes(*second)
    idle = night()
    ends(idle, 0, third_version, third)
    assert idle.report["nothing_to_do"].startswith("Nothing to do: ")
    registry.accept(third, fourth)
    last = pend(registry, *fourth)
    away = place.lab.hosts[fleet(2)[1].instance_id]
    away.spec = replace(away.spec, ssm=Ssm.CONNECTION_LOST)
    ends(night(), 1, third_version, third, fourth)
    assert registry.takes(*third), "somebody still uses it"
    away.spec = replace(away.spec, ssm=Ssm.ONLINE)
    ends(night(), 0, last, fourth)
    assert not registry.takes(*third)
