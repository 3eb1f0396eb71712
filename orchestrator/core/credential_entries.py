"""Read a map of registries, in either ECS form or docker login's, entry by entry.

Reading is lenient where there is no doubt about what was meant, and a finding says so wherever the agent would
read it otherwise: an error that `--fix` may take away is still an error without it.
"""

from dataclasses import dataclass

from orchestrator.core.agent_auth import DOCKER_FIELDS, Login, split_user
from orchestrator.core.credential import AuthType, Credential, Entry
from orchestrator.core.findings import Finding, Rule, error, warning
from orchestrator.core.go_values import JsonValue, ObjectValue, folded, read_base64
from orchestrator.core.registry_names import shown

_TOKENS = ("identitytoken", "registrytoken")
_URL_ALPHABET = str.maketrans("-_", "+/")
_AUTH_HINT = "make it with: printf %s 'USER:PASSWORD' | base64 -w0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """What a map held and what was wrong with it."""

    credential: Credential
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Fields:
    """One entry's fields under their folded names, the last of each kept as the agent does (F8)."""

    values: dict[str, JsonValue]
    repeated: frozenset[str]
    unknown: bool

    def text(self, name: str) -> str:
        value = self.values.get(name)
        return value if isinstance(value, str) else ""


def infer_type(entries: ObjectValue) -> AuthType:
    """Tell which ECS form a map without a declared type is: `docker` where any entry holds a user or password."""
    fields = [_fields(value).values for _, value in entries.pairs if isinstance(value, ObjectValue)]
    named = sum("username" in names or "password" in names for names in fields)
    encoded = sum("auth" in names for names in fields)
    return AuthType.DOCKER if named > encoded or (named and named == len(fields)) else AuthType.DOCKERCFG


def read_entries(entries: ObjectValue, auth_type: AuthType | None) -> Entries:
    """Read every entry under the rules of `auth_type`; None for docker login's file, which holds either form."""
    found: list[Entry] = []
    findings: list[Finding] = []
    keys = [key for key, _ in entries.pairs]
    for position, (key, value) in enumerate(entries.pairs, start=1):
        name = shown(key, position)
        login, problems = _read_entry(name, value, auth_type)
        findings += problems
        if keys.index(key) != position - 1:
            findings.append(
                error(
                    Rule.REPEATED,
                    name,
                    "the registry stands twice; the agent silently takes the last one",
                    "keep the entry that is valid and remove the other",
                )
            )
        elif login is not None:
            found.append(Entry(key=key, login=login))
    return Entries(credential=Credential(entries=tuple(found)), findings=tuple(findings))


def _read_entry(name: str, value: JsonValue, kind: AuthType | None) -> tuple[Login | None, list[Finding]]:
    if value is not None and not isinstance(value, ObjectValue):
        hint = 'write an object: {"auth":"BASE64"} or {"username":"USER","password":"PASSWORD"}'
        return None, [error(Rule.WRONG_TYPE, name, "the entry is no JSON object; it rejects all of them", hint)]
    fields = _fields(value)
    findings = _field_findings(name, fields, kind)
    if any(finding.rule in (Rule.WRONG_TYPE, Rule.REPEATED) for finding in findings):
        return None, findings
    named = Login(username=fields.text("username"), password=fields.text("password"))
    has_named = bool(named.username or named.password)
    has_auth = bool(fields.text("auth"))
    match kind:
        case AuthType.DOCKER if has_auth and not has_named:
            hint = "write username and password, or set the type to dockercfg"
            message = "type docker ignores `auth`, so this registry has no login, and no warning tells"
            findings.append(error(Rule.WRONG_FIELD, name, message, hint, fixable=True))
        case AuthType.DOCKERCFG if has_named and not has_auth:
            hint = "write `auth`, the base64 of user:password, or set the type to docker"
            message = "type dockercfg reads only `auth`, so this registry has no login"
            findings.append(error(Rule.WRONG_FIELD, name, message, hint, fixable=True))
        case _:
            pass
    if not has_auth and not has_named:
        return None, [*findings, _empty_entry(name, fields, kind)]
    if not has_auth or (kind is AuthType.DOCKER and has_named):
        return named, findings
    login, problems = _decode(name, fields.text("auth"))
    if login is not None and has_named and (login.username, login.password) != (named.username, named.password):
        problems = [*problems, _two_logins(name, "auth")]
    return login, findings + problems


def _empty_entry(name: str, fields: _Fields, kind: AuthType | None) -> Finding:
    if any(fields.text(token) for token in _TOKENS):
        message = "the entry holds a token that the ECS forms cannot hold, and no password"
        return error(Rule.NO_LOGIN, name, message, "make an access token that works as a password, and use that")
    if kind is None:
        message = "the entry is empty: docker login put the password into a credential store"
        hint = "run docker login with a config.json without credsStore, or write user and password yourself"
        return error(Rule.STORE, name, message, hint)
    field = "auth" if kind is AuthType.DOCKERCFG else "username"
    return error(Rule.NO_LOGIN, name, f"the entry has no `{field}`", "give a user and a password, or remove it")


def _two_logins(name: str, winner: str) -> Finding:
    message = f"`auth` and the user and password beside it differ; `{winner}` is what counts"
    return warning(Rule.DROPPED, name, message, "keep one of the two")


def _field_findings(name: str, fields: _Fields, kind: AuthType | None) -> list[Finding]:
    findings = [
        error(
            Rule.WRONG_TYPE,
            name,
            f"`{field}` is no JSON string; under the agent's rules that rejects every registry of the map",
            f"write the value of `{field}` in double quotes",
        )
        for field, value in fields.values.items()
        if field in (("auth",) if kind is AuthType.DOCKERCFG else DOCKER_FIELDS)
        and value is not None
        and not isinstance(value, str)
    ]
    findings += [
        error(Rule.REPEATED, name, f"`{field}` stands twice; the agent silently takes the last", "keep one")
        for field in sorted(fields.repeated)
    ]
    if fields.unknown:
        hint = "the fields are username, password and email, or auth and email: look for a slip"
        findings.append(warning(Rule.DROPPED, name, "a field has a name that the agent does not know", hint))
    return findings


def _fields(value: ObjectValue | None) -> _Fields:
    pairs = [] if value is None else [(folded(name), item) for name, item in value.pairs]
    known = [(name, item) for name, item in pairs if name in DOCKER_FIELDS]
    names = [name for name, _ in known]
    return _Fields(
        values=dict(known),
        repeated=frozenset(name for name in names if names.count(name) > 1),
        unknown=len(known) != len(pairs),
    )


def _decode(name: str, text: str) -> tuple[Login | None, list[Finding]]:
    decoded = read_base64(text)
    findings: list[Finding] = []
    if decoded is None:
        # The two slips that lose nothing: the URL alphabet, and padding left off (F4).
        compact = "".join(text.split()).rstrip("=").translate(_URL_ALPHABET)
        decoded = read_base64(compact + "=" * (-len(compact) % 4))
        mended = decoded is not None and split_user(decoded) is not None
        message = "`auth` is not standard base64 with padding; the agent drops the registry"
        findings.append(error(Rule.BASE64, name, message, _AUTH_HINT, fixable=mended))
        if decoded is None or not mended:
            return None, findings
    login = split_user(decoded)
    if login is None:
        message = "`auth` holds no ':' between user and password; the agent drops the registry"
        findings.append(error(Rule.NO_COLON, name, message, _AUTH_HINT))
    return login, findings
