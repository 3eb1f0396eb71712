"""Bad credentials, each with the finding that it gets. None of them gets as far as an instance."""

import json

import pytest

from orchestrator.core.credential_formats import recognise
from orchestrator.core.credential_lint import check, lint
from orchestrator.core.findings import Rule, Severity
from orchestrator.errors import ExitCode, RefusedError, RolloutError
from tests.canary import ENCODED, PASSWORD, USER, leaked, shown_of

GOOD = f'{{"auth":"{ENCODED}"}}'
NAMED = json.dumps({"username": USER, "password": PASSWORD})
TYPE, DATA = "ECS_ENGINE_AUTH_TYPE", "ECS_ENGINE_AUTH_DATA"
LONG = "x" * 140_000


def lines(kind: str, data: str) -> str:
    return f"{TYPE}={kind}\n{DATA}={data}\n"


def dockercfg(key: str) -> str:
    return json.dumps({key: {"auth": ENCODED}})


def login(user: object, password: object) -> str:
    return json.dumps({"reg.io": {"username": user, "password": password}})


# What is bad, the source's text, the rule that says so, whether --fix can mend it.
BAD: list[tuple[str, str, Rule, bool]] = [
    ("nothing", "", Rule.EMPTY, False),
    ("blanks", " \r\n\t", Rule.EMPTY, False),
    ("too much", " " * (1024 * 1024) + "{}", Rule.TOO_LONG, False),
    ("no JSON", PASSWORD, Rule.JSON, False),
    ("cut JSON", f'{{"reg.io":{{"auth":"{ENCODED}', Rule.JSON, False),
    ("text behind", dockercfg("reg.io") + " x", Rule.JSON, False),
    ("two objects", dockercfg("reg.io") * 2, Rule.JSON, False),
    ("comma at the end", f'{{"reg.io":{GOOD},}}', Rule.JSON, False),
    ("single quotes", f"{{'reg.io':{{'auth':'{ENCODED}'}}}}", Rule.JSON, False),
    ("NaN", f'{{"reg.io":{GOOD},"x":NaN}}', Rule.JSON, False),
    ("a raw tab in a value", f'{{"reg.io":{{"username":"{USER}","password":"a\tb"}}}}', Rule.JSON, False),
    ("endless nesting", "[" * 100_000, Rule.JSON, False),
    ("byte order mark", "\ufeff" + dockercfg("reg.io"), Rule.JSON, True),
    ("null", "null", Rule.EMPTY, False),
    ("empty object", "{}", Rule.EMPTY, False),
    ("array", f"[{GOOD}]", Rule.WRONG_TYPE, False),
    ("number", "42", Rule.WRONG_TYPE, False),
    ("true", "true", Rule.WRONG_TYPE, False),
    ("JSON in a string", json.dumps(dockercfg("reg.io")), Rule.WRONG_TYPE, True),
    ("no form at all", json.dumps({"token": PASSWORD, "host": "reg.io"}), Rule.FORMAT, False),
    ("entry is a string", json.dumps({"reg.io": {"auth": ENCODED}, "b.io": PASSWORD}), Rule.WRONG_TYPE, False),
    ("entry is a list", f'{{"a.io":{GOOD},"b.io":[]}}', Rule.WRONG_TYPE, False),
    ("password is a number", login(USER, 12345678), Rule.WRONG_TYPE, False),
    ("password is true", login(USER, True), Rule.WRONG_TYPE, False),
    ("user is an object", login({"name": USER}, PASSWORD), Rule.WRONG_TYPE, False),
    ("auth is a number", '{"reg.io":{"auth":1}}', Rule.WRONG_TYPE, False),
    ("email is a list", f'{{"reg.io":{{"username":"{USER}","password":"p","email":[]}}}}', Rule.WRONG_TYPE, False),
    ("type in capitals", lines("Docker", f'{{"reg.io":{NAMED}}}'), Rule.TYPE, True),
    ("unknown type", lines(PASSWORD, dockercfg("reg.io")), Rule.TYPE, False),
    ("no type", f"{DATA}={dockercfg('reg.io')}\n", Rule.NO_TYPE, True),
    ("no data", f"{TYPE}=dockercfg\n", Rule.EMPTY, False),
    ("empty data", lines("dockercfg", ""), Rule.EMPTY, False),
    ("exported", f"{TYPE}=dockercfg\nexport {DATA}={dockercfg('reg.io')}", Rule.ENV_FILE, True),
    ("blanks before =", f"{TYPE} = dockercfg\n{DATA}={dockercfg('reg.io')}", Rule.ENV_FILE, True),
    ("quoted value", lines("dockercfg", f"'{dockercfg('reg.io')}'"), Rule.ENV_FILE, True),
    ("data over two lines", lines("dockercfg", f'{{"reg.io":\n{GOOD}}}'), Rule.JSON, False),
    ("wrapper in lines, dockercfg", lines("dockercfg", f'{{"auths":{dockercfg("reg.io")}}}'), Rule.WRAPPER, True),
    ("wrapper in lines, docker", lines("docker", f'{{"auths":{{"reg.io":{NAMED}}}}}'), Rule.WRAPPER, True),
    ("wrapper with neighbours", lines("docker", f'{{"auths":{{"r.io":{NAMED}}},"x":{{}}}}'), Rule.WRAPPER, False),
    ("wrapper, empty entries", '{"auths":{"reg.io":{}}}', Rule.STORE, False),
    ("wrapper, nothing in it", '{"auths":{}}', Rule.EMPTY, False),
    ("wrapper is a list", '{"auths":[]}', Rule.WRONG_TYPE, False),
    ("two wrappers", f'{{"auths":{dockercfg("a.io")},"auths":{dockercfg("b.io")}}}', Rule.REPEATED, False),
    ("credsStore", '{"auths":{"reg.io":{}},"credsStore":"desktop"}', Rule.STORE, False),
    ("credsStore alone", json.dumps({"credsStore": PASSWORD}), Rule.STORE, False),
    ("credHelpers", f'{{"auths":{dockercfg("a.io")},"credHelpers":{{"b.io":"gcloud"}}}}', Rule.STORE, False),
    ("identity token", json.dumps({"auths": {"reg.io": {"identitytoken": PASSWORD}}}), Rule.NO_LOGIN, False),
    ("auth under docker", lines("docker", dockercfg("reg.io")), Rule.WRONG_FIELD, True),
    ("user under dockercfg", lines("dockercfg", f'{{"reg.io":{NAMED}}}'), Rule.WRONG_FIELD, True),
    ("mixed forms", f'{{"a.io":{NAMED},"b.io":{NAMED},"c.io":{GOOD}}}', Rule.WRONG_FIELD, True),
    ("no padding", f'{{"reg.io":{{"auth":"{ENCODED.rstrip("=")}"}}}}', Rule.BASE64, True),
    ("URL alphabet", '{"reg.io":{"auth":"dTo_Pz8-"}}', Rule.BASE64, True),
    ("plain text in auth", json.dumps({"reg.io": {"auth": f"{USER}:{PASSWORD}"}}), Rule.BASE64, False),
    ("one bad among good", f'{{"a.io":{GOOD},"b.io":{{"auth":"{PASSWORD}!"}}}}', Rule.BASE64, False),
    ("too much padding", '{"reg.io":{"auth":"dTpwYQ==="}}', Rule.BASE64, True),
    ("no colon", '{"reg.io":{"auth":"dXNlcg=="}}', Rule.NO_COLON, False),
    ("no user in auth", '{"reg.io":{"auth":"OnBhc3N3b3Jk"}}', Rule.NO_LOGIN, False),
    ("not UTF-8", '{"reg.io":{"auth":"dTr//v8="}}', Rule.UNICODE, False),
    ("empty entry, docker", f'{{"a.io":{NAMED},"reg.io":{{"username":"","password":""}}}}', Rule.NO_LOGIN, False),
    ("null entry", f'{{"a.io":{GOOD},"reg.io":null}}', Rule.NO_LOGIN, False),
    ("no user", login("", PASSWORD), Rule.NO_LOGIN, False),
    ("user with colon and quotes", login("a:b", f'"{PASSWORD}'), Rule.USER_COLON, False),
    (
        "user with colon beside quotes",
        json.dumps(
            {
                "a.io": {"username": "a:b", "password": PASSWORD},
                "b.io": {"username": "c", "password": f'"{PASSWORD}'},
            }
        ),
        Rule.USER_COLON,
        False,
    ),
    ("registry twice", f'{{"reg.io":{GOOD},"reg.io":{{"auth":"dTpw"}}}}', Rule.REPEATED, False),
    ("field twice", f'{{"reg.io":{{"username":"a","Username":"b","password":"{PASSWORD}"}}}}', Rule.REPEATED, False),
    ("with and without scheme", f'{{"reg.io":{GOOD},"https://reg.io":{{"auth":"dTpw"}}}}', Rule.CHANCE, False),
    ("the same, one login", f'{{"reg.io":{GOOD},"https://reg.io":{GOOD}}}', Rule.CHANCE, True),
    ("paths without their host", f'{{"reg.io/a":{GOOD},"reg.io/b":{{"auth":"dTpw"}}}}', Rule.CHANCE, False),
    ("Docker Hub, short", dockercfg("docker.io"), Rule.HUB, True),
    ("Docker Hub, no slash", dockercfg("https://index.docker.io/v1"), Rule.HUB, True),
    ("Docker Hub, v2", dockercfg("https://index.docker.io/v2/"), Rule.HUB, True),
    ("Docker Hub, its registry", dockercfg("registry-1.docker.io"), Rule.HUB, True),
    ("Docker Hub, its web page", dockercfg("https://hub.docker.com/"), Rule.HUB, True),
    ("Docker Hub, two logins", f'{{"docker.io":{GOOD},"index.docker.io/v1/":{{"auth":"dTpw"}}}}', Rule.HUB, False),
    ("empty key", dockercfg(""), Rule.NEVER_MATCHES, False),
    ("a bare word", dockercfg("myregistry"), Rule.NEVER_MATCHES, False),
    ("key is a secret", dockercfg(PASSWORD), Rule.NEVER_MATCHES, False),
    ("user in the URL", dockercfg(f"https://{USER}:{PASSWORD}@reg.io"), Rule.NEVER_MATCHES, False),
    ("query in the key", dockercfg("reg.io/?a=b"), Rule.NEVER_MATCHES, False),
    ("star in the key", dockercfg("*.reg.io"), Rule.NEVER_MATCHES, False),
    ("blanks in the key", dockercfg("reg .io"), Rule.NEVER_MATCHES, False),
    ("blanks around the key", dockercfg(" reg.io "), Rule.NEVER_MATCHES, True),
    ("scheme in capitals", dockercfg("HTTPS://reg.io"), Rule.NEVER_MATCHES, True),
    ("another scheme", dockercfg("oci://reg.io"), Rule.NEVER_MATCHES, False),
    ("host in capitals", dockercfg("Reg.io"), Rule.NEVER_MATCHES, True),
    ("no ASCII", dockercfg("régistre.io"), Rule.NEVER_MATCHES, False),
    ("quotes in the key", dockercfg('reg"io.com'), Rule.NEVER_MATCHES, False),
    ("endless key", dockercfg("reg.io/" + "a" * 300), Rule.NEVER_MATCHES, False),
    ("lone login without registry", NAMED, Rule.REGISTRY_OPTION, False),
    ("lone login, password a number", '{"username":"u","password":1,"registry":"r.io"}', Rule.WRONG_TYPE, False),
    ("lone login, twice", '{"username":"u","Username":"v","registry":"r.io"}', Rule.REPEATED, False),
    ("longer than a variable", login(USER, LONG), Rule.TOO_LONG, False),
]
assert len(BAD) >= 60


@pytest.mark.parametrize(("text", "rule", "fixable"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_gets_its_finding(text: str, rule: Rule, fixable: bool) -> None:  # noqa: FBT001 - a table's column
    """The rule is named as an error, the exit code is 2 or 3, and --fix mends exactly what leaves no doubt."""
    report = lint(recognise(text))
    assert report.refused
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    assert rule in {finding.rule for finding in errors}
    assert all(finding.message and finding.hint for finding in report.findings)
    with pytest.raises(RolloutError) as caught:
        check(report)
    assert caught.value.exit_code in (ExitCode.USAGE, ExitCode.REFUSED)
    assert lint(recognise(text), fix=True).refused != fixable


@pytest.mark.parametrize("text", [case[1] for case in BAD], ids=[case[0] for case in BAD])
@pytest.mark.parametrize("fix", [False, True])
def test_no_finding_shows_a_piece_of_the_secret(text: str, fix: bool) -> None:  # noqa: FBT001 - a table's column
    """Findings, reprs and errors over bad input hold neither user nor password nor their base64."""
    recognised = recognise(text)
    report = lint(recognised, ["reg.io/x", "busybox"], fix=fix)
    shown = repr(recognised) + repr(report) + str(report)
    try:
        check(report)
    except RolloutError as error:
        shown += shown_of(error) + error.hint
    assert leaked(shown) == []


@pytest.mark.parametrize(
    ("text", "registry"),
    [(dockercfg("reg.io"), "reg.io"), ('{"username":"u","password":"p","registry":"a.io"}', "b.io")],
)
def test_a_registry_option_that_does_not_fit_is_an_error(text: str, registry: str) -> None:
    """--registry is for a lone login, and must not contradict it."""
    report = lint(recognise(text, registry=registry))
    with pytest.raises(RolloutError) as caught:
        check(report)
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (f'{{"reg.io":{GOOD}\n', "line 2, column 1; it ends too early", "close every quote and bracket"),
        ('{"reg.io":{"auth":"abc', "line 1, column 19; it ends too early", "close every quote and bracket"),
        (f'{{"reg.io":{GOOD}}} x', "; something stands behind it", "keep one JSON object and nothing else"),
        (f'{{"reg.io" {GOOD}}}', "line 1, column 11", "mend it there"),
    ],
)
def test_json_that_is_none_is_told_with_the_fault_that_it_has(text: str, message: str, hint: str) -> None:
    """A bracket that is missing is not looked for in front of the object or behind it."""
    with pytest.raises(RefusedError) as refused:
        check(lint(recognise(text)))
    assert refused.value.message.startswith("The credential is refused: the data is no valid JSON: line ")
    assert f"{message} (rule F5-json)." in refused.value.message
    assert refused.value.hint.lower().startswith(hint.lower())
    assert refused.value.hint[0].isupper()
