"""What is asked for once more when a run is resumed: every flag that it was started with, and nothing else."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click
import pytest
from msgspec import structs

from orchestrator.cli import approvals, carrying, flags, recovery, requests, rollout
from orchestrator.cli.compose import Gates, Request
from orchestrator.core.events import RunStarted
from orchestrator.core.settings import Policy, VerifyLogin
from orchestrator.core.state import RunState
from orchestrator.journal.codec import dump, load

COMMANDS: Mapping[str, tuple[click.Command, tuple[str, ...]]] = {
    "run": (rollout.run, ("--cluster", "web", "--credential", "-")),
    "restore": (recovery.restore, ("run-0",)),
    "heal": (recovery.heal, ("--cluster", "web")),
}
OTHER = "run-0"
ANOTHER_VALUE: Mapping[str, tuple[str, ...]] = {
    "cluster": ("other",),
    "credential": ("ssm:/login:3",),
    "registry": ("reg.example.com",),
    "allow_readable_file": (),
    "no_probe": (),
    "probe_image": ("a/b:1", "c/d:2"),
    "ca_bundle": ("ca.pem",),
    "verify_login": (),
    "no_probe_old": (),
    "boot_config": ("s3://conf/a.config", "s3://conf/b.config"),
    "allow_removal": (),
    "delivery": ("s3",),
    "delivery_bucket": ("payloads",),
    "kms_key": ("alias/mine",),
    "instance": ("i-00000000000000001", "i-00000000000000002"),
    "attribute": ("team=blue", "gpu"),
    "tag": ("stage=prod",),
    "zone": ("eu-west-1a",),
    "exclude": ("zone:eu-west-1b", "tag:keep=yes"),
    "limit": ("7%",),
    "seed": ("autumn",),
    "waves": ("2,30%",),
    "bake": ("90s",),
    "zones": ("one-by-one",),
    "max_unavailable": ("3",),
    "max_unavailable_per_zone": ("20%",),
    "max_failures": ("1", "5%"),
    "max_unreachable": ("4",),
    "max_refused": ("2",),
    "delivery_seconds": ("45",),
    "verify_seconds": ("100",),
    "restore_seconds": ("90",),
    "watchdog_seconds": ("430",),
    "step_seconds": ("610",),
    "poll_seconds": ("1.5",),
    "on_ephemeral": ("drain",),
    "standalone_tasks": ("stop",),
    "drain_timeout": ("20m",),
    "approve": (),
    "approve_timeout": ("2h",),
    "on_halt": ("restore",),
    "window": ("Mon-Fri 02:00-05:00 Europe/Berlin", "Sun 01:00-03:00 UTC"),
    "deadline": ("2026-12-01T06:00+01:00",),
    "deadline_lead": ("3h",),
    "alarm": ("errors", "latency"),
    "alarm_missing_data": ("go",),
    "change_calendar": ("freeze",),
    "gate_command": ("check 'the weather' --now",),
    "gate_timeout": ("5m",),
    "parameter_prefix": ("/team/rollout",),
    "document_prefix": ("team-rollout",),
    "region": ("eu-west-1",),
    "profile": ("night",),
}
TOGETHER = {"deadline": ("window",), "deadline_lead": ("deadline", "window"), "delivery_bucket": ("delivery",)}


def parameters(command: click.Command) -> list[click.Option]:
    """Every flag that says something about what happens to an instance."""
    beside = approvals.NOT_PART | {"dry_run"}
    return [
        each
        for each in command.params
        if isinstance(each, click.Option) and each.expose_value and each.name not in beside
    ]


def words(command: click.Command, names: tuple[str, ...]) -> list[str]:
    """Write these flags with another value than their default."""
    said: list[str] = []
    for option in parameters(command):
        if option.name in names:
            values = ANOTHER_VALUE[option.name]
            said += [option.opts[0]] if option.is_flag else [word for each in values for word in (option.opts[0], each)]
    return said


def started_with(which: str, said: list[str]) -> tuple[dict[str, Any], RunStarted]:
    """Parse a command line as the command does; give its flags, and the run's first event as the journal keeps it."""
    command, needed = COMMANDS[which]
    context = command.make_context(which, [*needed, *said])
    with context:
        kept = flags.given(context, without=approvals.NOT_PART | {"run"})
    event = RunStarted(
        run="run-1",
        cluster="web",
        region="eu-west-1",
        generation="",
        fence=1,
        restores=OTHER if which == "restore" else "",
        heals=which == "heal",
        policy=Policy(),
        planned=(),
        options=kept,
    )
    return dict(context.params), load(dump(event), RunStarted)


CASES = [(which, str(option.name)) for which, (command, _) in COMMANDS.items() for option in parameters(command)]


@pytest.mark.parametrize(("which", "name"), CASES)
def test_every_flag_of_a_run_survives(which: str, name: str) -> None:
    """The flag, alone and with its default's opposite, is the same once the journal has told of it."""
    command, needed = COMMANDS[which]
    given, event = started_with(which, words(command, (name, *TOGETHER.get(name, ()))))
    again = requests.again(event, command, needed[:1] if which == "restore" else ())
    default = command.make_context(which, list(needed)).params
    assert given[name] != default[name]
    assert {key: again[key] for key in (each.name for each in parameters(command))} == {
        key: given[key] for key in (each.name for each in parameters(command))
    }


@pytest.mark.parametrize("which", sorted(COMMANDS))
def test_all_flags_together_make_the_same_request(which: str) -> None:
    """With every flag said, resume asks for exactly what the run asked for; of the policy, what the journal says."""
    command, _ = COMMANDS[which]
    names = tuple(str(each.name) for each in parameters(command))
    given, event = started_with(which, words(command, names))
    first = _request(which, {key: value for key, value in given.items() if key in names})
    state = RunState()
    state.started = structs.replace(event, policy=first.policy)
    resumed = recovery._request_again(state, region=None, profile=None)  # noqa: SLF001 - the flags' whole way back
    assert replace(resumed, credential=first.credential) == first


def _request(which: str, given: dict[str, Any]) -> Any:
    if which == "run":
        return requests.request_of(**given)
    if which == "restore":
        given = {"cluster": "web", **given}
        del given["no_probe_old"]  # the policy holds it
    return Request(**requests.rules_of(verify_login=VerifyLogin.NEVER, **given))


def test_a_run_that_is_taken_back_after_its_halt_can_be_resumed() -> None:
    """Its flags are those of the run that halted, as far as they hold for a restore: whom, how fast, and no gates."""
    command, _ = COMMANDS["run"]
    names = tuple(str(each.name) for each in parameters(command))
    _, halted = started_with("run", words(command, names))
    state = RunState()
    state.started = structs.replace(
        halted, run="run-2", restores="run-1", options=carrying.options_back(halted.options), policy=Policy()
    )
    resumed = recovery._request_again(state, region=None, profile=None)  # noqa: SLF001 - the flags' whole way back
    assert resumed.gates == Gates()
    assert resumed.selection.wanted.instances == ANOTHER_VALUE["instance"]
    assert resumed.document_prefix == "team-rollout"
    assert resumed.credential == ""
