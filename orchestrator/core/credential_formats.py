"""Recognise what a secret holds and read the credential out of it: the five forms that people keep logins in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.core.agent_auth import Login
from orchestrator.core.credential import AuthType, Credential, Entry
from orchestrator.core.credential_entries import Entries, infer_type, read_entries
from orchestrator.core.env_fragment import Declared, is_fragment, read_fragment
from orchestrator.core.findings import Finding, Rule, error, warning
from orchestrator.core.go_values import JsonValue, NotJsonError, ObjectValue, folded, read_json
from orchestrator.core.registry_names import shown

LONGEST_SOURCE = 1024 * 1024
_STORES = ("credsstore", "credhelpers")
# Docker's own names for credential helpers. Any other value in that place is not shown.
_HELPERS = frozenset(
    ("desktop", "osxkeychain", "wincred", "secretservice", "pass", "ecr-login", "gcloud", "gcr", "acr-env")
)
_BOM = "\ufeff"
_NOTHING = Credential(entries=())
_TYPES = frozenset(str(member) for member in AuthType)


class SourceFormat(StrEnum):
    """What a secret was recognised as."""

    ECS_DOCKER = "ecs-docker"
    ECS_DOCKERCFG = "ecs-dockercfg"
    ECS_CONFIG = "ecs-config"
    DOCKER_CONFIG = "docker-config"
    SINGLE_LOGIN = "single-login"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What was read: an error among the findings means that the credential is not the whole of it."""

    format: SourceFormat
    auth_type: AuthType
    credential: Credential
    findings: tuple[Finding, ...] = ()


def recognise(text: str, registry: str | None = None) -> Recognised:
    """Read a credential from the text of a secret; never raises.

    `registry` says where a lone user and password belong; it is an error with any other format.
    """
    if len(text) > LONGEST_SOURCE:
        return _unknown(error(Rule.TOO_LONG, "", "the source holds more than 1 MiB", "is it the right source?"))
    findings: list[Finding] = []
    if text.startswith(_BOM):
        message = "a byte order mark stands in front; the agent reads no JSON behind it"
        findings.append(error(Rule.JSON, "", message, "save it as UTF-8 without BOM", fixable=True))
        text = text.lstrip(_BOM)
    if not text.strip():
        return _unknown(error(Rule.EMPTY, "", "the source is empty", "store the credential in it first"))
    if is_fragment(text):
        declared, problems = read_fragment(text)
        found = _declared(declared)
        findings += problems
    else:
        found = _from_json(text, registry)
    if registry is not None and found.format is not SourceFormat.SINGLE_LOGIN:
        message = "--registry goes with a lone user and password; this source names its own registries"
        findings.append(error(Rule.REGISTRY_OPTION, "", message, "leave --registry out"))
    return replace(found, findings=(*findings, *found.findings))


def _unknown(*findings: Finding) -> Recognised:
    return Recognised(format=SourceFormat.UNKNOWN, auth_type=AuthType.DOCKERCFG, credential=_NOTHING, findings=findings)


def _from_json(text: str, registry: str | None) -> Recognised:
    try:
        value = read_json(text)
        if isinstance(value, str):
            inner = read_json(value)
            message = "the JSON is stored inside a JSON string; the agent does not unpack it"
            finding = error(Rule.WRONG_TYPE, "", message, "store the object itself", fixable=True)
            found = _from_object(inner, registry)
            return replace(found, findings=(finding, *found.findings))
    except NotJsonError as problem:
        return _unknown(_not_json(problem))
    return _from_object(value, registry)


def _not_json(problem: NotJsonError) -> Finding:
    message = f"the data is no valid JSON: line {problem.line}, column {problem.column}"
    if problem.cut:
        return error(Rule.JSON, "", f"{message}; it ends too early", "close every quote and bracket: one whole object")
    if problem.behind:
        return error(Rule.JSON, "", f"{message}; something stands behind it", "keep one JSON object and nothing else")
    return error(Rule.JSON, "", message, "mend it there; one JSON object, nothing in front of it or behind it")


def _from_object(value: JsonValue, registry: str | None) -> Recognised:
    if value is None or value == ObjectValue(()):
        message = "the data holds no registry; the agent takes it without a warning"
        return _unknown(error(Rule.EMPTY, "", message, "add an entry for each registry"))
    if not isinstance(value, ObjectValue):
        message = "the data is no JSON object"
        return _unknown(error(Rule.WRONG_TYPE, "", message, 'write {"REGISTRY":{"auth":"BASE64"}}'))
    names = {folded(key) for key, _ in value.pairs}
    if (declared := _json_config(value)) is not None:
        return _declared(declared)
    if "auths" in names or names.intersection(_STORES):
        return _docker_config(value)
    if {"username", "password"} & names and not any(isinstance(item, ObjectValue) for _, item in value.pairs):
        return _single_login(value, registry)
    if not any(isinstance(item, ObjectValue) or item is None for _, item in value.pairs):
        message = "the JSON is none of the known forms"
        hint = "ECS docker or dockercfg data, ecs.config lines, docker's config.json, or username and password"
        return _unknown(error(Rule.FORMAT, "", message, hint))
    return _ecs_data(value, infer_type(value))


def _ecs_data(value: ObjectValue, auth_type: AuthType) -> Recognised:
    entries = read_entries(value, auth_type)
    form = SourceFormat.ECS_DOCKER if auth_type is AuthType.DOCKER else SourceFormat.ECS_DOCKERCFG
    return _recognised(form, auth_type, entries)


def _recognised(form: SourceFormat, auth_type: AuthType, entries: Entries, *findings: Finding) -> Recognised:
    return Recognised(
        format=form,
        auth_type=auth_type,
        credential=entries.credential,
        findings=(*findings, *entries.findings),
    )


def _json_config(value: ObjectValue) -> Declared | None:
    """Find the two values of an ecs.config.json (F9), or of a secret whose keys are the variables' names."""
    items = {folded(key): item for key, item in value.pairs}
    for type_name, data_name in (
        ("engineauthtype", "engineauthdata"),
        ("ecs_engine_auth_type", "ecs_engine_auth_data"),
    ):
        if type_name in items or data_name in items:
            kind = items.get(type_name)
            return Declared(auth_type=kind if isinstance(kind, str) else None, data=items.get(data_name, ""))
    return None


def _declared(declared: Declared) -> Recognised:
    """Judge a type and data that were given together: here nothing may be inferred, as the agent infers nothing."""
    if isinstance(declared.data, str) and not declared.data.strip():
        message = "there is a type but no data"
        found = _unknown(error(Rule.EMPTY, "", message, "set ECS_ENGINE_AUTH_DATA to one line of JSON"))
        return replace(found, format=SourceFormat.ECS_CONFIG)
    try:
        data = read_json(declared.data) if isinstance(declared.data, str) else declared.data
    except NotJsonError as problem:
        return replace(_unknown(_not_json(problem)), format=SourceFormat.ECS_CONFIG)
    if not isinstance(data, ObjectValue) or not data.pairs:
        return replace(_from_object(data, None), format=SourceFormat.ECS_CONFIG)
    findings: list[Finding] = []
    kind = _declared_type(declared.auth_type, infer_type(data), findings)
    inner = next((item for key, item in data.pairs if key == "auths"), None)
    if isinstance(inner, ObjectValue):
        alone = len(data.pairs) == 1
        message = "the map is wrapped in `auths`; the agent unwraps nothing and finds one registry of that name"
        findings.append(error(Rule.WRAPPER, "", message, "store what is inside `auths`", fixable=alone))
        data = inner
        kind = infer_type(inner)
    return _recognised(SourceFormat.ECS_CONFIG, kind, read_entries(data, kind), *findings)


def _declared_type(text: str | None, inferred: AuthType, findings: list[Finding]) -> AuthType:
    name = (text or "").strip()
    if not name:
        message = "data without a type: the agent ignores it without a warning"
        hint = f"set ECS_ENGINE_AUTH_TYPE={inferred}"
        findings.append(error(Rule.NO_TYPE, "", message, hint, fixable=True))
        return inferred
    if name in _TYPES:
        return AuthType(name)
    known = name.lower() in _TYPES
    message = "the type is neither `docker` nor `dockercfg`, in exactly these letters"
    hint = f"set ECS_ENGINE_AUTH_TYPE={name.lower() if known else inferred}"
    findings.append(error(Rule.TYPE, "", message, hint, fixable=known))
    return AuthType(name.lower()) if known else inferred


def _docker_config(value: ObjectValue) -> Recognised:
    findings: list[Finding] = []
    entries = Entries(credential=_NOTHING, findings=())
    auths = [item for key, item in value.pairs if folded(key) == "auths"]
    if len(auths) > 1:
        findings.append(error(Rule.REPEATED, "", "`auths` stands more than once", "keep one"))
    elif auths and isinstance(auths[0], ObjectValue):
        entries = read_entries(auths[0], None)
        if not auths[0].pairs:
            findings.append(error(Rule.EMPTY, "", "`auths` holds no registry", "run docker login first"))
    elif auths:
        findings.append(error(Rule.WRONG_TYPE, "", "`auths` is no JSON object", "write an object there"))
    for key, item in value.pairs:
        findings += _store_findings(folded(key), item, stored=not entries.credential.entries)
    return _recognised(SourceFormat.DOCKER_CONFIG, AuthType.DOCKERCFG, entries, *findings)


def _store_findings(name: str, value: JsonValue, *, stored: bool) -> Sequence[Finding]:
    """Refuse logins that a helper keeps elsewhere (F6): each registry by name, the default store as a whole."""
    if name == "credsstore" and value not in (None, ""):
        make = error if stored else warning
        message = f"credsStore names {_helper(value)}: logins kept there are not in this file"
        hint = "run docker login with a config.json without credsStore, or write user and password yourself"
        return [make(Rule.STORE, "", message, hint)]
    if name == "credhelpers" and isinstance(value, ObjectValue):
        return [
            error(
                Rule.STORE,
                shown(key, position),
                f"credHelpers keeps this registry's login in {_helper(helper)}, not in this file",
                "write its user and password yourself and remove the helper, or remove both",
            )
            for position, (key, helper) in enumerate(value.pairs, start=1)
        ]
    return []


def _helper(value: JsonValue) -> str:
    return f"the helper `{value}`" if isinstance(value, str) and value in _HELPERS else "a credential helper"


def _single_login(value: ObjectValue, registry: str | None) -> Recognised:
    findings: list[Finding] = []
    fields: dict[str, str] = {}
    for name in ("username", "password", "registry"):
        items = [item for key, item in value.pairs if folded(key) == name and item is not None]
        if len(items) > 1:
            findings.append(error(Rule.REPEATED, "", f"`{name}` stands more than once", "keep one"))
        elif items and not isinstance(items[0], str):
            hint = f"write the value of `{name}` in double quotes"
            findings.append(error(Rule.WRONG_TYPE, "", f"`{name}` is no JSON string", hint))
        elif items:
            fields[name] = str(items[0])
    inside = fields.get("registry", "")
    if inside and registry and inside != registry:
        message = "the source names another registry than --registry"
        findings.append(error(Rule.REGISTRY_OPTION, "", message, "leave --registry out, or change the source"))
    key = inside or registry or ""
    if not key:
        message = "a user and a password, but no registry to use them for"
        hint = "give --registry HOST, or add a field `registry` to the secret"
        findings.append(error(Rule.REGISTRY_OPTION, "", message, hint))
    login = Login(username=fields.get("username", ""), password=fields.get("password", ""))
    entries = () if findings else (Entry(key=key, login=login),)
    return Recognised(
        format=SourceFormat.SINGLE_LOGIN,
        auth_type=AuthType.DOCKER,
        credential=Credential(entries=entries),
        findings=tuple(findings),
    )
