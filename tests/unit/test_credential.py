"""Good credentials: what is recognised, warned about, mended, matched, normalised and delivered."""

import base64
import hashlib
import json

import pytest

from orchestrator.core.agent_auth import Login, agent_view
from orchestrator.core.credential import (
    AuthType,
    Credential,
    Entry,
    EnvLines,
    canonical,
    compare,
    normalise,
    variable_bytes,
)
from orchestrator.core.credential_formats import SourceFormat, recognise
from orchestrator.core.credential_lint import ImageOutcome, Report, lint
from orchestrator.core.findings import Rule
from orchestrator.core.payload import encode_payload, generation, payload_digest
from orchestrator.errors import RefusedError

HUB = "index.docker.io/v1/"


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def named(user: str, password: str) -> dict[str, str]:
    return {"username": user, "password": password}


def judged(source: object, *, fix: bool = False, registry: str | None = None, images: tuple[str, ...] = ()) -> Report:
    text = source if isinstance(source, str) else json.dumps(source)
    return lint(recognise(text, registry=registry), images, fix=fix)


def of(**logins: tuple[str, str]) -> Credential:
    entries = [
        Entry(key=key.replace("_", "."), login=Login(username=user, password=password))
        for key, (user, password) in logins.items()
    ]
    return Credential(entries=tuple(entries))


@pytest.mark.parametrize(
    ("source", "form", "auth_type", "registry"),
    [
        ({"reg.io": auth("u", "p")}, SourceFormat.ECS_DOCKERCFG, AuthType.DOCKERCFG, None),
        ({"reg.io": named("u", "p") | {"email": "e"}}, SourceFormat.ECS_DOCKER, AuthType.DOCKER, None),
        ({"reg.io": named("u", "p") | auth("u", "p")}, SourceFormat.ECS_DOCKER, AuthType.DOCKER, None),
        ({"auths": {"reg.io": auth("u", "p")}}, SourceFormat.DOCKER_CONFIG, AuthType.DOCKERCFG, None),
        (
            {"auths": {"reg.io": auth("u", "p")}, "credsStore": "pass"},
            SourceFormat.DOCKER_CONFIG,
            AuthType.DOCKERCFG,
            None,
        ),
        ({"auths": {"reg.io": named("u", "p")}, "psFormat": "x"}, SourceFormat.DOCKER_CONFIG, AuthType.DOCKERCFG, None),
        (named("u", "p"), SourceFormat.SINGLE_LOGIN, AuthType.DOCKER, "reg.io"),
        (named("u", "p") | {"registry": "reg.io"}, SourceFormat.SINGLE_LOGIN, AuthType.DOCKER, None),
        (
            named("u", "p") | {"registry": "reg.io", "engine": "x", "port": 1},
            SourceFormat.SINGLE_LOGIN,
            AuthType.DOCKER,
            "reg.io",
        ),
        (
            {"EngineAuthType": "docker", "EngineAuthData": {"reg.io": named("u", "p")}},
            SourceFormat.ECS_CONFIG,
            AuthType.DOCKER,
            None,
        ),
        (
            {"ECS_ENGINE_AUTH_TYPE": "dockercfg", "ECS_ENGINE_AUTH_DATA": json.dumps({"reg.io": auth("u", "p")})},
            SourceFormat.ECS_CONFIG,
            AuthType.DOCKERCFG,
            None,
        ),
        (
            "# mine\r\nECS_CLUSTER=web\r\nECS_ENGINE_AUTH_TYPE= docker \r\nECS_ENGINE_AUTH_DATA="
            + json.dumps({"reg.io": named("u", "p")})
            + "\r\n",
            SourceFormat.ECS_CONFIG,
            AuthType.DOCKER,
            None,
        ),
        ('\n {\n "reg.io" : {"auth": "dTpw"}\n}\n', SourceFormat.ECS_DOCKERCFG, AuthType.DOCKERCFG, None),
    ],
)
def test_every_form_is_recognised(
    source: object, form: SourceFormat, auth_type: AuthType, registry: str | None
) -> None:
    """Each form that people keep logins in gives the same login, and says what it was."""
    report = judged(source, registry=registry)
    assert not report.refused
    assert (report.format, report.auth_type) == (form, auth_type)
    assert report.credential == of(reg_io=("u", "p"))


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ({"reg.io": named("u", "")}, Rule.NO_LOGIN),
        ({"reg.io": named("u", "p\n")}, Rule.BLANKS),
        ({"reg.io": named(" u", "p")}, Rule.BLANKS),
        ({"reg.io": named("a:b", "p")}, Rule.USER_COLON),
        ({"reg.io": auth("u", "p") | {"pasword": "x"}}, Rule.DROPPED),
        ({"auths": {"reg.io": named("u", "p") | auth("u", "q")}}, Rule.DROPPED),
        ({"reg.io": auth("u", "p"), "reg.io/team": auth("t", "p")}, Rule.PREFIX),
        ({"reg.io/team/": auth("t", "p")}, Rule.PREFIX),
        ({"https://reg.io/v2/": auth("u", "p")}, Rule.PREFIX),
        ({"123456789012.dkr.ecr.eu-west-1.amazonaws.com": auth("AWS", "p")}, Rule.ECR),
        ({"auths": {"reg.io": auth("u", "p")}, "credsStore": "pass"}, Rule.STORE),
        (
            '#ECS_ENGINE_AUTH_DATA=old\nECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={"reg.io":{"auth":"dTpw"}}',
            Rule.ENV_FILE,
        ),
        (
            'ECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={"r.io":{"auth":"dTpw"}}',
            Rule.ENV_FILE,
        ),
    ],
)
def test_what_may_be_meant_is_a_warning(source: object, rule: Rule) -> None:
    """A doubtful but working credential passes, and the doubt is named."""
    report = judged(source)
    assert not report.refused
    assert rule in {finding.rule for finding in report.findings}


def test_a_good_credential_has_no_finding() -> None:
    """Nothing is said about what is right, Docker Hub, ports, paths beside their host and localhost included."""
    keys = [
        "https://index.docker.io/v1/",
        "reg.io",
        "reg.io/team/",
        "reg.io:5000",
        "http://localhost",
        "10.0.0.1:80",
        "[::1]:5000",
    ]
    assert judged({key: auth("u", "p") for key in keys}).findings == ()


@pytest.mark.parametrize(
    ("written", "mended"),
    [
        ("docker.io", HUB),
        ("https://registry-1.docker.io/v2/", HUB),
        ("https://index.docker.io/v1", HUB),
        ("HTTP://Reg.IO:5000", "reg.io:5000"),
        (" reg.io\n", "reg.io"),
        ("https://reg.io/v2/", "reg.io"),
        ("https://reg.io", "https://reg.io"),
        ("reg.io/team", "reg.io/team"),
    ],
)
def test_fix_writes_the_key_that_was_meant(written: str, mended: str) -> None:
    """Unambiguous keys are mended, right ones stay as they are, and what was mended is listed."""
    report = judged({written: auth("u", "p")}, fix=True)
    assert not report.refused
    assert [entry.key for entry in report.credential.entries] == [mended]
    assert bool(report.fixed) == (written != mended)


def test_fix_joins_equal_logins_and_leaves_different_ones_alone() -> None:
    """Two keys for one registry become one where nothing is lost by it, and stay an error where something is."""
    same = judged({"docker.io": auth("u", "p"), "index.docker.io": auth("u", "p")}, fix=True)
    assert same.credential.names == (HUB,)
    other = judged({"docker.io": auth("u", "p"), "index.docker.io/v1/": auth("u", "q")}, fix=True)
    assert other.refused
    assert not any(finding.fixable for finding in other.findings)
    assert other.credential.names == ("docker.io", HUB)


def test_a_helper_is_named_only_if_it_is_known() -> None:
    """Docker's own helpers are named; any other text in their place is not shown."""
    source = {"credHelpers": {"a.io": "gcloud", "b.io": "Kx9vPzQw"}}
    findings = judged(source).findings
    assert [finding.registry for finding in findings[:2]] == ["a.io", "b.io"]
    assert "`gcloud`" in findings[0].message
    assert "Kx9vPzQw" not in findings[1].message


def test_images_are_shown_with_the_key_that_they_use() -> None:
    """For each image: its key and whether it logs in, by chance, or not at all."""
    images = ("busybox", "reg.io/team/x:1", "reg.io/x", "other.io/x", "two.io/z")
    source = {
        "https://index.docker.io/v1/": auth("h", "p"),
        "reg.io": auth("r", "p"),
        "reg.io/team/": auth("t", "p"),
        "two.io/a": auth("a", "p"),
        "two.io/b": auth("b", "p"),
    }
    found = {match.image: (match.keys, match.outcome) for match in judged(source, images=images).images}
    assert found == {
        "busybox": ((HUB,), ImageOutcome.LOGIN),
        "reg.io/team/x:1": (("reg.io/team/",), ImageOutcome.LOGIN),
        "reg.io/x": (("reg.io",), ImageOutcome.LOGIN),
        "other.io/x": ((), ImageOutcome.ANONYMOUS),
        "two.io/z": (("two.io/a", "two.io/b"), ImageOutcome.CHANCE),
    }


@pytest.mark.parametrize("password", ["p", "$x%y 'z", "pä中🔑", "p=:@/#;"])
def test_values_without_escapes_keep_the_form_that_is_preferred(password: str) -> None:
    """What JSON holds raw travels as docker where the source was, else as dockercfg."""
    credential = of(reg_io=("u", password))
    lines = normalise(credential, AuthType.DOCKER)
    assert lines.auth_type is AuthType.DOCKER
    assert lines.data == f'{{"reg.io":{{"username":"u","password":"{password}"}}}}'
    assert normalise(credential).auth_type is AuthType.DOCKERCFG


@pytest.mark.parametrize(
    "password", ['q"uote', "back\\slash", "new\nline", "nul\0", "\x7f", "\x85", "\u2028", "\ufeff"]
)
def test_values_that_need_escapes_travel_as_dockercfg(password: str) -> None:
    """Quotes, backslashes, controls and line separators go into base64, which no reader changes."""
    lines = normalise(of(reg_io=("u", password)), AuthType.DOCKER)
    assert lines.auth_type is AuthType.DOCKERCFG
    assert agent_view("dockercfg", lines.data).auths == {"reg.io": Login(username="u", password=password)}


def test_a_user_with_a_colon_travels_as_docker_or_not_at_all() -> None:
    """dockercfg would split such a user in two (F4)."""
    assert normalise(of(reg_io=("a:b", "p"))).auth_type is AuthType.DOCKER
    with pytest.raises(RefusedError):
        normalise(of(reg_io=("a:b", "p\n")))


def test_docker_hub_is_written_as_the_examples_write_it() -> None:
    """Its key has the scheme that every guide shows; the agent takes it away."""
    credential = Credential(entries=(Entry(key=HUB, login=Login(username="u", password="p")),))
    assert normalise(credential).data == '{"https://index.docker.io/v1/":{"auth":"dTpw"}}'


@pytest.mark.parametrize(("prefer", "per_byte"), [(AuthType.DOCKER, 1), (AuthType.DOCKERCFG, 4 / 3)])
def test_the_line_may_be_as_long_as_linux_takes_and_no_longer(prefer: AuthType, per_byte: float) -> None:
    """The last size that fits is 128 KiB with name, '=' and NUL; the next is refused (F40)."""
    empty = variable_bytes(normalise(of(reg_io=("u", "")), prefer))
    room = int((128 * 1024 - empty) / per_byte)
    sizes = range(room - 6, room + 7)
    fits = []
    for size in sizes:
        try:
            lines = normalise(of(reg_io=("u", "x" * size)), prefer)
        except RefusedError:
            continue
        assert variable_bytes(lines) == len(f"ECS_ENGINE_AUTH_DATA={lines.data}\0") <= 128 * 1024
        fits.append(size)
    assert fits
    assert fits == list(sizes[: len(fits)])
    assert len(fits) < len(sizes)


@pytest.mark.parametrize("count", [1, 2, 50, 200])
def test_up_to_200_registries_travel(count: int) -> None:
    """Every one of them is what the agent holds."""
    report = judged({f"reg{number}.io": auth(f"u{number}", "p") for number in range(count)})
    assert not report.refused
    view = agent_view("dockercfg", normalise(report.credential).data)
    assert view.accepted
    assert len(view.auths) == count


@pytest.mark.parametrize(
    "credential",
    [
        of(reg_io=("u", "\udcff")),
        Credential(
            entries=(
                *of(reg_io=("u", "p")).entries,
                Entry(key="https://reg.io", login=Login(username="u", password="q")),
            )
        ),
        Credential(entries=(Entry(key='reg"', login=Login(username="u", password="p")),)),
    ],
    ids=["bytes", "twice", "key"],
)
def test_what_the_lint_refuses_is_not_normalised(credential: Credential) -> None:
    """Nobody gets lines that an agent would read otherwise, even without the lint."""
    with pytest.raises(RefusedError):
        normalise(credential)


def test_equal_logins_have_one_content_and_one_generation() -> None:
    """Form, order, scheme and e-mail change nothing; any user, password or registry does."""
    key = bytes(32)
    one = judged({"a.io": auth("u", "p"), "https://b.io": auth("v", "q")}).credential
    two = judged({"b.io": named("v", "q"), "a.io": named("u", "p") | {"email": "x"}}).credential
    assert canonical(one) == canonical(two)
    others = [of(a_io=("u", "p")), of(a_io=("u", "p"), b_io=("v", "Q")), of(a_io=("up", ""), b_io=("v", "q"))]
    names = {generation(key, canonical(each)) for each in (one, two, *others)}
    assert len(names) == 4
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in names)
    assert generation(bytes([1] * 32), canonical(one)) != generation(key, canonical(one))


def test_registry_changes_are_told_by_name() -> None:
    """Names compare without their scheme, as agents hold them."""
    changes = compare(["https://a.io", "old.io", "http://b.io"], of(a_io=("u", "p"), b_io=("u", "p"), c_io=("u", "p")))
    assert (changes.added, changes.kept, changes.removed) == (("c.io",), ("a.io", "b.io"), ("old.io",))


def test_the_payload_is_four_lines_in_base64() -> None:
    """Header, nonce, type and data; the digest is that of the text that is stored."""
    lines = EnvLines(auth_type=AuthType.DOCKER, data='{"r.io":{"username":"ü","password":"p"}}')
    nonce = "0123456789abcdef" * 4
    payload = encode_payload(lines, nonce)
    text = base64.b64decode(payload, validate=True).decode()
    assert text == f"ecs-rollout-payload 1\n{nonce}\ndocker\n{lines.data}\n"
    assert payload_digest(payload) == hashlib.sha256(payload.encode()).hexdigest()
    assert payload_digest(encode_payload(lines, nonce[::-1])) != payload_digest(payload)


@pytest.mark.parametrize("nonce", ["", "00", "G" * 64, "A" * 64, "0" * 65])
def test_a_payload_has_a_whole_nonce(nonce: str) -> None:
    """Without 64 hex digits of randomness the digest would tell something about the secret."""
    with pytest.raises(ValueError, match="nonce"):
        encode_payload(EnvLines(auth_type=AuthType.DOCKER, data="{}"), nonce)
