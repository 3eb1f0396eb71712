"""What a scenario file of the lab may hold: every key, from what reads it; docs/lab.md shows it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields

from orchestrator.lab import scenario_keys as keys
from orchestrator.lab.faults import ApiFaults
from orchestrator.lab.scenario import AfterRestart, Deed, Event, InstanceSpec, Scenario, ServiceSpec

Rows = tuple[tuple[str, str, str, str], ...]
_LONGEST = 24

_PLAIN = Scenario()
TOP: Rows = (
    ("seed", "whole number", str(_PLAIN.seed), "of everything that is drawn: the same file does the same again"),
    ("region", "text", _PLAIN.region, "the Region; zones begin with it"),
    ("account", "12 digits", _PLAIN.account, "the account"),
    ("cluster", "text", _PLAIN.cluster, "the cluster"),
)
THROTTLE: Rows = (("throttle.OPERATION", "{ rate, burst }", "", "calls of it per second in the long run, and at once"),)
INSTANCE: Rows = (
    ("tasks", "{ service, standalone }", "2, 0", "how many tasks of the service, and of nobody, run there"),
    ("agent_after_restart", f"{', '.join(AfterRestart)}, slow:SECONDS", "returns", "what the agent does then: below"),
)
WHO: Rows = (
    ("id", "i-.. or mi-..", "made up", "its EC2 instance id"),
    ("zone", "text", "REGIONa", "its availability zone"),
)
COUNT: Rows = (("count", "0 to 20000", "1", "how many instances are like this"),)
EVENT: Rows = (
    ("what", ", ".join(Deed), "", "what happens: below"),
    ("instance", "id", "", "to whom; needed but for `join`"),
    ("when", "OCCASION", "the start", "`sent:`, `begun:` or `ended:` a document, `draining`, `drained` or `active`"),
    ("of", "id", "`instance`", "of whom that occasion is"),
    ("joins", "table", "", "who comes at `join` and `replace`: an id, and keys of an instance"),
)


def _rows(found: tuple[keys.Key, ...], value: type) -> Rows:
    defaults = {each.name: each.default for each in fields(value)}
    return tuple((key.name, key.form, _shown(defaults[key.field]), key.means) for key in found)


def _shown(default: object) -> str:
    """Write a default as the file would; one that is long, or that only code can write, is left out."""
    if default is MISSING or default is None or default == "" or isinstance(default, frozenset):
        return ""
    text = default if isinstance(default, str) else json.dumps(default)
    return "" if len(text) > _LONGEST or text == "[]" else text


TABLES: Mapping[str, Rows] = {
    "": TOP,
    "[api]": (*_rows(keys.API, ApiFaults), *THROTTLE),
    "[service]": _rows(keys.SERVICE, ServiceSpec),
    "[[instances]]": (*COUNT, *WHO, *INSTANCE, *_rows(keys.INSTANCE, InstanceSpec)),
    "[[events]]": (*EVENT, *_rows(keys.EVENT, Event)),
}
"""By table of the file: each key, how its value is written, its default, and what it means."""


def key_rows() -> Iterator[tuple[str, ...]]:
    """Give each key with its table."""
    for table, rows in TABLES.items():
        for name, form, default, means in rows:
            yield table or "top", f"`{name}`", form, default, means


def value_rows() -> Iterator[tuple[str, ...]]:
    """Give each kind of trouble after a restart, and each event, with what happens."""
    for after, means in keys.AFTER_RESTART.items():
        yield "`agent_after_restart`", f"`{after}`", means
    yield "`agent_after_restart`", "`slow:SECONDS`", "The agent is back, and registers so much later (F12)."
    for deed, means in keys.DEEDS.items():
        yield "`what`", f"`{deed}`", means
