"""What the lint of a credential can find; no finding holds a secret or a piece of one."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Severity(StrEnum):
    """An error refuses the credential, a warning is shown."""

    ERROR = "error"
    WARNING = "warning"


class Rule(StrEnum):
    """The rules, each with the fact about the agent that it stands on."""

    FORMAT = "format"
    REGISTRY_OPTION = "registry-option"
    TYPE = "F3-type"
    BASE64 = "F4-base64"
    NO_COLON = "F4-colon"
    USER_COLON = "F4-user-colon"
    UNICODE = "F4-unicode"
    JSON = "F5-json"
    WRONG_TYPE = "F5-wrong-type"
    NO_LOGIN = "F5-no-login"
    BLANKS = "F5-blanks"
    WRAPPER = "F6-auths-wrapper"
    STORE = "F6-credential-store"
    HUB = "F7-docker-hub-key"
    NEVER_MATCHES = "F7-never-matches"
    CHANCE = "F7-chance"
    PREFIX = "F7-prefix"
    WRONG_FIELD = "F8-wrong-field"
    REPEATED = "F8-repeated"
    EMPTY = "F8-empty"
    NO_TYPE = "F8-no-type"
    DROPPED = "F8-dropped-field"
    ENV_FILE = "F40-env-file"
    TOO_LONG = "F40-too-long"
    ECR = "ecr-login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or may be, and how to mend it.

    registry: the key, or its place in the map where the key is no registry's name; empty where the whole
    credential is meant. fixable: `--fix` mends it without guessing.
    """

    rule: Rule
    severity: Severity
    registry: str = ""
    message: str
    hint: str
    fixable: bool = False


def error(rule: Rule, registry: str, message: str, hint: str, *, fixable: bool = False) -> Finding:
    """Make a finding that refuses the credential."""
    return Finding(rule=rule, severity=Severity.ERROR, registry=registry, message=message, hint=hint, fixable=fixable)


def warning(rule: Rule, registry: str, message: str, hint: str, *, fixable: bool = False) -> Finding:
    """Make a finding that is only shown."""
    return replace(error(rule, registry, message, hint, fixable=fixable), severity=Severity.WARNING)
