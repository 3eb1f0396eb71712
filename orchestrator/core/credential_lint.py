"""Judge a credential by the ECS agent's rules before it travels, and mend what leaves no doubt."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from orchestrator.core.agent_auth import HUB_KEY, Login, keys_for
from orchestrator.core.credential import AuthType, Credential, Entry, form_for, is_unicode, needs_escape, normalise
from orchestrator.core.credential_formats import Recognised, SourceFormat
from orchestrator.core.findings import Finding, Rule, Severity, error, warning
from orchestrator.core.registry_names import (
    HUB_WRITTEN,
    is_api_root,
    is_ecr,
    is_hub,
    is_registry,
    mended,
    shown,
    split_host,
)
from orchestrator.errors import RefusedError, UsageError


class ImageOutcome(StrEnum):
    """What the agent does when it pulls an image."""

    LOGIN = "login"
    ANONYMOUS = "anonymous"
    CHANCE = "chance"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMatch:
    """Which key an image uses: none, one, or several among which chance decides."""

    image: str
    keys: tuple[str, ...]
    outcome: ImageOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The judgement: the credential as it would travel, what is wrong with it, what `--fix` has mended."""

    format: SourceFormat
    auth_type: AuthType
    credential: Credential = field(repr=False)
    findings: tuple[Finding, ...]
    fixed: tuple[Finding, ...]
    images: tuple[ImageMatch, ...]

    @property
    def refused(self) -> bool:
        """Whether any finding is an error."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)


def lint(recognised: Recognised, images: Iterable[str] = (), *, fix: bool = False) -> Report:
    """Judge what was recognised; with `fix`, mend what is unambiguous first and list it as fixed.

    A report that is not refused can be normalised, and agents will hold exactly its logins.
    """
    credential = recognised.credential
    fixed: tuple[Finding, ...] = ()
    findings = recognised.findings
    if fix:
        credential, mended_findings = _mend(credential)
        fixed = tuple(finding for finding in findings if finding.fixable) + mended_findings
        remaining = tuple(finding for finding in findings if not finding.fixable)
        # What mending has left over is not for `--fix` to mend again.
        findings = remaining + tuple(replace(finding, fixable=False) for finding in _judge(credential))
    else:
        findings += _judge(credential)
    if not any(finding.severity is Severity.ERROR for finding in findings):
        findings += _whole(credential, recognised.auth_type)
    return Report(
        format=recognised.format,
        auth_type=recognised.auth_type,
        credential=credential,
        findings=findings,
        fixed=fixed,
        images=tuple(_match(credential, image) for image in images),
    )


def check(report: Report) -> None:
    """Raise what the first error asks for: UsageError for a wrong option, RefusedError for the credential."""
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    if not errors:
        return
    first = errors[0]
    place = f"{first.registry}: " if first.registry else ""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    kind = UsageError if first.rule is Rule.REGISTRY_OPTION else RefusedError
    raise kind(
        f"The credential is refused: {place}{first.message} (rule {first.rule}){more}.",
        hint=first.hint[:1].upper() + first.hint[1:],
    )


def _judge(credential: Credential) -> tuple[Finding, ...]:
    findings: list[Finding] = []
    for position, entry in enumerate(credential.entries, start=1):
        name = shown(entry.key, position)
        findings += _key_findings(name, entry)
        findings += _login_findings(name, entry.login)
    return (*findings, *_rivals(credential))


def _key_findings(name: str, entry: Entry) -> list[Finding]:
    key = entry.key
    if is_hub(mended(key)) and entry.name != HUB_KEY:
        message = "the agent looks for Docker Hub's login under one key only, and this is not it"
        return [error(Rule.HUB, name, message, f"name the entry {HUB_WRITTEN}", fixable=True)]
    if key in ("auths", "credsStore", "credHelpers"):
        message = "`auths` and its like are no registries: this is the file that docker login writes"
        return [error(Rule.WRAPPER, "", message, "use what is inside `auths`")]
    if not is_registry(key):
        message = "no image's name can match this key: it is no host, and no host with a port or path"
        hint = "name the entry as images do: registry.example.com, with :PORT or /PATH where they have it"
        return [error(Rule.NEVER_MATCHES, name, message, hint, fixable=is_registry(mended(key)))]
    host, path = split_host(entry.name)
    findings: list[Finding] = []
    if host != host.lower():
        message = "the host holds capitals; the agent compares letter by letter, and images have none"
        findings.append(error(Rule.NEVER_MATCHES, name, message, f"write {host.lower()}", fixable=True))
    if entry.name != HUB_KEY and is_api_root(key):
        message = "the key ends in the API's path, so it loses against any other key of its host"
        findings.append(warning(Rule.PREFIX, name, message, f"write {host}", fixable=True))
    elif entry.name != HUB_KEY and path.strip("/") and not path.endswith("/"):
        message = f"the key is a prefix: {entry.name}-more/image gets this login too"
        findings.append(warning(Rule.PREFIX, name, message, f"write {entry.name}/ if that is not wanted"))
    if is_ecr(key):
        message = "an ECR login expires after 12 hours, and the agent logs in to ECR by itself"
        findings.append(warning(Rule.ECR, name, message, "give the instances ecr:GetAuthorizationToken instead"))
    return findings


def _login_findings(name: str, login: Login) -> list[Finding]:
    findings: list[Finding] = []
    if not login.username:
        message = "the user is empty; the agent then pulls as if there were no login"
        findings.append(error(Rule.NO_LOGIN, name, message, "give a user"))
    if not login.password:
        message = "the password is empty; few registries take that"
        findings.append(warning(Rule.NO_LOGIN, name, message, "give the password or access token"))
    for what, value in (("user", login.username), ("password", login.password)):
        if not is_unicode(value):
            message = f"the {what} is not UTF-8, and Docker sends it as JSON, which is"
            findings.append(error(Rule.UNICODE, name, message, f"set a {what} that is text"))
        elif value != value.strip():
            message = f"the {what} begins or ends with a blank or a new line, which is sent with it"
            hint = "if that is a slip: `echo` adds a new line to what it pipes, `printf %s` does not"
            findings.append(warning(Rule.BLANKS, name, message, hint))
    if ":" in login.username and is_unicode(login.username + login.password):
        findings.append(_user_colon(name, login))
    return findings


def _user_colon(name: str, login: Login) -> Finding:
    hint = "use a user without ':'"
    if needs_escape(login.username + login.password):
        message = "the user holds a ':', which the dockercfg form cannot hold, and a value needs that form"
        return error(Rule.USER_COLON, name, message, hint)
    message = "the user holds a ':'; with Basic authentication the registry takes the rest for the password"
    return warning(Rule.USER_COLON, name, message, hint)


def _rivals(credential: Credential) -> list[Finding]:
    """Find registries for which chance decides between different logins (F7)."""
    by_name: dict[str, list[Entry]] = defaultdict(list)
    by_host: dict[str, list[Entry]] = defaultdict(list)
    for entry in credential.entries:
        by_name[entry.name].append(entry)
        by_host[split_host(entry.name)[0]].append(entry)
    findings: list[Finding] = []
    for position, (name, entries) in enumerate(by_name.items(), start=1):
        if len(entries) > 1:
            same = _same_login(entries)
            message = "the registry stands both with and without a scheme; chance decides which login the agent uses"
            hint = "keep one of the two"
            findings.append(error(Rule.CHANCE, shown(name, position), message, hint, fixable=same))
    for position, (host, entries) in enumerate(by_host.items(), start=1):
        names = {entry.name for entry in entries}
        if host in names or is_hub(host):
            continue
        if len(names) > 1 and not _same_login(entries):
            message = "only paths of this host have logins; the agent picks one by chance for each pull"
            hint = "add an entry for the host itself: with it, the longest matching path wins"
            findings.append(error(Rule.CHANCE, shown(host, position), message, hint))
        elif len(names) == 1 and split_host(entries[0].name)[1].strip("/") and not is_api_root(entries[0].key):
            message = "this is the host's only key, so the agent uses it for every image of the host"
            hint = "nothing to do unless images outside that path must be pulled without it"
            findings.append(warning(Rule.PREFIX, shown(entries[0].key, position), message, hint))
    return findings


def _same_login(entries: Iterable[Entry]) -> bool:
    return len({(entry.login.username, entry.login.password) for entry in entries}) == 1


def _whole(credential: Credential, prefer: AuthType) -> tuple[Finding, ...]:
    """Judge what only the finished lines show: whether anything is left, and whether it fits (F40)."""
    if not credential.entries:
        return (error(Rule.EMPTY, "", "no registry is left with a login", "add an entry for each registry"),)
    try:
        normalise(credential, prefer)
    except RefusedError as problem:
        # Single values were judged before; two can still be at odds about the form.
        rule = Rule.TOO_LONG if form_for(credential, prefer) else Rule.USER_COLON
        return (error(rule, "", problem.message, problem.hint),)
    return ()


def _mend(credential: Credential) -> tuple[Credential, tuple[Finding, ...]]:
    """Rename what can only be meant in one way; keys that meet with different logins stay as they are."""
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in credential.entries:
        groups[mended(entry.key)].append(entry)
    entries: list[Entry] = []
    for key, group in groups.items():
        if _same_login(group):
            entries.append(replace(group[0], key=_kept_key(key, group)))
        else:
            entries += group
    after = Credential(entries=tuple(entries))
    remaining = set(_judge(after))
    fixed = tuple(finding for finding in _judge(credential) if finding.fixable and finding not in remaining)
    return after, fixed


def _kept_key(key: str, group: list[Entry]) -> str:
    """Keep a key as it was written where it needs no mending, so that nothing changes without need."""
    return group[0].key if all(entry.name == key for entry in group) else key


def _match(credential: Credential, image: str) -> ImageMatch:
    auths: Mapping[str, Login] = {entry.name: entry.login for entry in credential.entries}
    keys = keys_for(auths, image)
    doubtful = [entry for entry in credential.entries if entry.name in keys]
    usable = any(entry.login.username for entry in doubtful)
    if not _same_login(doubtful) and doubtful:
        outcome = ImageOutcome.CHANCE
    else:
        outcome = ImageOutcome.LOGIN if usable else ImageOutcome.ANONYMOUS
    names = tuple(shown(key, position) for position, key in enumerate(keys, start=1))
    return ImageMatch(image=image, keys=names, outcome=outcome)
