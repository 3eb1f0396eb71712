"""The three readers of an env file, modelled after what they did to tests/vectors/env.jsonl (F40).

Each takes the file's text and returns its variables, or None where the reader gives up.
"""

from orchestrator.core.go_values import trim_space


def ecs_init(text: str) -> dict[str, str] | None:
    """ecs-init: lines by `\\n`, trimmed, split at the first `=`; nothing else means anything."""
    pairs = [trim_space(line).partition("=") for line in text.split("\n")]
    return {name: value for name, equals, value in pairs if equals}


def docker_env_file(text: str) -> dict[str, str] | None:
    """docker run --env-file: comments, leading blanks of the name trimmed, white space in a name is an error."""
    found: dict[str, str] = {}
    for line in text.removeprefix("\ufeff").split("\n"):
        kept = line.removesuffix("\r").lstrip()
        if not kept or kept.startswith("#"):
            continue
        name, equals, value = kept.partition("=")
        if not name or name != trim_space(name) or " " in name or "\t" in name:
            return None
        if equals:
            found[name] = value
    return found


def systemd(text: str) -> dict[str, str] | None:
    """systemd's EnvironmentFile: comments, quotes, backslashes, and only names that a shell would take."""
    if "\0" in text:
        return None
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if text[at] in " \t\r\n":
            at += 1
            continue
        if text[at] in "#;":
            at = _line_end(text, at)
            continue
        end = _line_end(text, at)
        equals = text.find("=", at, end)
        if equals < 0:
            at = end
            continue
        name = text[at:equals].rstrip(" \t")
        value, at = _systemd_value(text, equals + 1)
        if name.isascii() and name.isidentifier():
            found[name] = value
    return found


def _line_end(text: str, at: int) -> int:
    return min((end for end in (text.find("\n", at), text.find("\r", at)) if end >= 0), default=len(text))


def _systemd_value(text: str, at: int) -> tuple[str, int]:
    """Read one value: quotes count only at its start, a backslash takes the next character, blanks end trimmed."""
    while at < len(text) and text[at] in " \t":
        at += 1
    if at < len(text) and text[at] in "\"'":
        end = text.find(text[at], at + 1)
        if end >= 0:
            return text[at + 1 : end], _line_end(text, end)
    value: list[str] = []
    kept = 0
    while at < len(text) and text[at] not in "\r\n":
        if text[at] == "\\" and at + 1 < len(text):
            at += 1
            if text[at] != "\n":
                value.append(text[at])
            kept = len(value)
        else:
            value.append(text[at])
            kept = kept if text[at] in " \t" else len(value)
        at += 1
    return "".join(value[:kept]), at
