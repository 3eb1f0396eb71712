"""The configuration file: TOML with the flags' names. A flag beats the file."""

import tomllib
from collections.abc import Collection
from pathlib import Path

from orchestrator.errors import UsageError

Value = str | int | bool | list[str]
"""A flag's value; a list for one that may be repeated."""


def load(path: Path, known: Collection[str]) -> dict[str, Value]:
    """Read the file; keys are flags without dashes in front (`max-unavailable`).

    Raises UsageError for a file that cannot be read, a key that no flag has, and a value that is no flag's value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The configuration {path} cannot be read: {error}.", hint="Check --config.") from error
    try:
        loaded = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}.", hint="Mend the line it names.") from error
    values: dict[str, Value] = {}
    for key, value in loaded.items():
        if key not in known:
            raise UsageError(f"{path}: there is no setting {key!r}.", hint=f"Known: {', '.join(sorted(known))}.")
        texts = isinstance(value, list) and all(isinstance(each, str) for each in value)
        if not texts and not isinstance(value, str | int | bool):
            raise UsageError(
                f"{path}: {key} must be a string, a number, true/false or a list of strings.", hint="Mend its value."
            )
        values[key.replace("-", "_")] = value
    return values
