"""What the lint passes, agents hold: laws over generated credentials, good and bad."""

import base64
import json
import string

from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.core.agent_auth import Login, agent_view, keys_for, strip_scheme
from orchestrator.core.credential import (
    DATA_VARIABLE,
    TYPE_VARIABLE,
    AuthType,
    EnvLines,
    canonical,
    normalise,
)
from orchestrator.core.credential_formats import recognise
from orchestrator.core.credential_lint import check, lint
from orchestrator.core.payload import encode_payload, payload_digest
from orchestrator.errors import RolloutError
from tests.canary import leaked, pieces, shown_of
from tests.env_readers import docker_env_file, ecs_init, systemd

LABEL = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=6)
HOST = st.builds("{}.{}{}".format, LABEL, LABEL, st.sampled_from(["", "", ":5000", ":443"]))
ODD_KEYS = ["docker.io", "https://index.docker.io/v1/", "index.docker.io/v1", "registry-1.docker.io/v2/", "auths", ""]
ODD_KEYS += ["https://Reg.IO", " reg.io", "reg.io/", "HTTP://reg.io/v2/", "localhost", "reg", 'q"uote.io', "ü.io"]
KEY = st.one_of(
    HOST,
    st.builds("https://{}".format, HOST),
    st.builds("{}/{}".format, HOST, LABEL),
    st.sampled_from(ODD_KEYS),
)
# The characters that some reader treats specially come up often; any other may come too.
ODD = st.sampled_from([*"\"'\\$%#=:;{}[]!&~` \t\r\n\0\v\f\x1b\x7f\x85\xa0\u2028\u2029\ufeffäé中🔑"])
VALUE = st.text(st.one_of(ODD, st.characters(exclude_categories=["Cs"])), max_size=12)
LOGIN = st.builds(lambda user, password: Login(username=user, password=password), VALUE, VALUE)
WILD = st.dictionaries(KEY, LOGIN, max_size=5)
# Mostly what a lint should pass, so that the laws about passing are not empty.
GOOD_KEY = st.one_of(HOST, st.builds("https://{}".format, HOST), st.just("https://index.docker.io/v1/"))
NAME = st.builds("u{}".format, VALUE)
GOOD_LOGIN = st.builds(lambda user, password: Login(username=user, password=password), NAME, VALUE)
GOOD = st.dictionaries(GOOD_KEY, GOOD_LOGIN, min_size=1, max_size=5)
LOGINS = st.one_of(GOOD, GOOD, WILD)
TYPES = st.sampled_from(AuthType)


def written(logins: dict[str, Login], auth_type: AuthType) -> str:
    """Write ECS data as a person's tool would: with escapes, in either form."""
    entries = {}
    for key, login in logins.items():
        pair = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
        named = {"username": login.username, "password": login.password}
        entries[key] = {"auth": pair} if auth_type is AuthType.DOCKERCFG else named
    return json.dumps(entries)


def env_file(lines: EnvLines) -> str:
    return f"ECS_CLUSTER=web\n{TYPE_VARIABLE}={lines.auth_type}\n{DATA_VARIABLE}={lines.data}\nECS_LOGLEVEL=info\n"


@given(LOGINS, TYPES)
@example({"reg.io": Login(username="u", password='"\\\n\u2028')}, AuthType.DOCKER)
def test_what_the_lint_passes_normalisation_keeps(logins: dict[str, Login], auth_type: AuthType) -> None:
    """Byte for byte the agent holds the same users, passwords and keys before and after."""
    source = written(logins, auth_type)
    report = lint(recognise(source))
    if report.refused:
        return
    before = agent_view(auth_type, source)
    lines = normalise(report.credential, report.auth_type)
    after = agent_view(lines.auth_type, lines.data)
    assert after.auths == before.auths
    assert after.accepted
    assert after.usable
    assert not after.contested


@given(LOGINS, TYPES)
def test_whatever_the_agent_drops_or_cannot_use_is_refused(logins: dict[str, Login], auth_type: AuthType) -> None:
    """What passes is accepted and usable as it stands in the source, each entry with a user."""
    source = written(logins, auth_type)
    view = agent_view(auth_type, source)
    if not (view.accepted and all(login.username for login in view.auths.values())):
        assert lint(recognise(source)).refused


@given(LOGINS, TYPES)
def test_fixing_keeps_every_login_and_ends(logins: dict[str, Login], auth_type: AuthType) -> None:
    """--fix renames keys and joins equal ones: no login appears or vanishes, and a second --fix finds nothing."""
    report = lint(recognise(written(logins, auth_type)), fix=True)
    kept = {(entry.login.username, entry.login.password) for entry in report.credential.entries}
    before = recognise(written(logins, auth_type)).credential.entries
    assert kept == {(entry.login.username, entry.login.password) for entry in before}
    if not report.refused:
        lines = normalise(report.credential, report.auth_type)
        again = lint(recognise(lines.data), fix=True)
        assert again.fixed == ()
        assert canonical(again.credential) == canonical(report.credential)


@given(LOGINS, TYPES)
def test_every_reader_of_the_env_file_reads_exactly_the_value(logins: dict[str, Login], prefer: AuthType) -> None:
    """ecs-init, docker --env-file and systemd find the two values as they are, and their neighbours (F40)."""
    report = lint(recognise(written(logins, AuthType.DOCKER)))
    if report.refused:
        return
    lines = normalise(report.credential, prefer)
    expected = {
        "ECS_CLUSTER": "web",
        TYPE_VARIABLE: lines.auth_type,
        DATA_VARIABLE: lines.data,
        "ECS_LOGLEVEL": "info",
    }
    for reader in (ecs_init, docker_env_file, systemd):
        assert reader(env_file(lines)) == expected


@given(LOGINS, TYPES)
def test_a_normalised_credential_is_a_fixed_point(logins: dict[str, Login], auth_type: AuthType) -> None:
    """Read again from its own env file it has no error, the same lines and the same content."""
    report = lint(recognise(written(logins, auth_type)))
    if report.refused:
        return
    lines = normalise(report.credential, report.auth_type)
    again = lint(recognise(f"{TYPE_VARIABLE}={lines.auth_type}\n{DATA_VARIABLE}={lines.data}\n"))
    assert not again.refused
    assert normalise(again.credential, again.auth_type) == lines
    assert canonical(again.credential) == canonical(report.credential)


@given(LOGINS, st.builds("{}/{}".format, HOST, LABEL))
def test_a_passed_credential_leaves_nothing_to_chance(logins: dict[str, Login], image: str) -> None:
    """Whatever image is pulled, one login at most can be the agent's."""
    report = lint(recognise(written(logins, AuthType.DOCKER)))
    if report.refused:
        return
    auths = {strip_scheme(key): login for key, login in logins.items()}
    images = [image, *(f"{strip_scheme(key).rstrip('/')}/x" for key in logins)]
    assert all(len({auths[key] for key in keys_for(auths, each)}) <= 1 for each in images)


SECRET = st.text(string.ascii_letters + string.digits, min_size=20, max_size=24)


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, str]:
    """Make a secret and a text with it in any place of a source, cut, doubled or garbled somewhere."""
    secret = draw(SECRET)
    pair = base64.b64encode(f"u:{secret}".encode()).decode()
    text = draw(
        st.sampled_from(
            [
                secret,
                json.dumps({"reg.io": {"username": "u", "password": secret}}),
                json.dumps({"reg.io": {"username": secret, "password": secret, secret: secret}}),
                json.dumps({"reg.io": {"auth": pair}, secret: {"auth": pair}}),
                json.dumps({f"https://u:{secret}@reg.io/": {"auth": f"u:{secret}"}}),
                json.dumps(
                    {"auths": {secret: {"auth": secret}}, "credsStore": secret, "credHelpers": {secret: secret}}
                ),
                json.dumps({"username": "u", "password": secret, "registry": secret}),
                json.dumps({"EngineAuthType": secret, "EngineAuthData": secret}),
                f"{TYPE_VARIABLE}={secret}\n{DATA_VARIABLE}={secret}\n{secret}={secret}\n",
                f"export {TYPE_VARIABLE}=docker\n# {DATA_VARIABLE}={secret}\n{DATA_VARIABLE}='{pair}'",
            ]
        )
    )
    at = draw(st.integers(0, len(text)))
    how = draw(st.sampled_from(["whole", "cut", "garbled", "doubled"]))
    if how == "cut":
        text = text[:at]
    if how == "garbled":
        text = text[:at] + draw(st.sampled_from(['"', "\\", "{", "}", ":", "\0", "\ud800", "\n", "="])) + text[at:]
    return secret, text * 2 if how == "doubled" else text


@given(broken(), st.booleans())
def test_no_piece_of_a_secret_is_ever_shown(case: tuple[str, str], fix: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever is read, nothing that can be printed holds eight characters of the secret, in clear or base64."""
    secret, text = case
    recognised = recognise(text)
    report = lint(recognised, ["reg.io/x"], fix=fix)
    shown = repr(recognised) + str(report) + repr(report.credential.entries)
    shown += repr(agent_view("docker", text)) + repr(agent_view("dockercfg", text))
    try:
        check(report)
        lines = normalise(report.credential, report.auth_type)
        shown += repr(lines)
    except RolloutError as error:
        shown += shown_of(error) + error.hint
    assert leaked(shown, pieces(secret)) == []


@given(LOGINS, st.text("0123456789abcdef", min_size=64, max_size=64))
def test_the_digest_depends_on_the_nonce(logins: dict[str, Login], nonce: str) -> None:
    """One content has as many digests as nonces, so a digest in the open is none of the content."""
    report = lint(recognise(written(logins, AuthType.DOCKERCFG)))
    if report.refused:
        return
    lines = normalise(report.credential)
    other = nonce[1:] + ("0" if nonce[0] != "0" else "1")
    if other != nonce:
        assert payload_digest(encode_payload(lines, nonce)) != payload_digest(encode_payload(lines, other))
