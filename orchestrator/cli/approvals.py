"""`plan --out FILE` and `run --plan FILE`: what was approved is what runs, or nothing does."""

import os
import shlex
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import files, manners, speech, unattended
from orchestrator.core.settings import OptionValue, Policy, spelled
from orchestrator.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from orchestrator.cli.compose import Parts
    from orchestrator.core.approved import ApprovedPlan
    from orchestrator.core.model import Plan

NOT_PART = (
    unattended.TELLING
    | manners.NAMES
    | {"output", "journal", "state", "yes", "take_over", "plan_file", "out", "full", "detailed_exitcode"}
)
"""Flags that say nothing about what happens to an instance."""

_SHOWN = 30
_NAMED = 8
_WRITABLE_BY_OTHERS = 0o022
_PLAN = "ecs_rollout.plan"


def save(path: Path, parts: "Parts", planned: "Plan", options: dict[str, OptionValue]) -> None:
    """Save a plan for `run --plan`, readable by its owner alone; a file that is there is replaced whole."""
    import secrets as randomness

    import msgspec

    from orchestrator.core.approved import ApprovedPlan, fingerprint_of

    salt = "" if planned.generation else randomness.token_hex(16)
    approved = ApprovedPlan(
        made_at=parts.clock.now(),
        cluster=parts.cluster,
        region=parts.session.region,
        credential=parts.credential.describe(),
        generation=planned.generation,
        salt=salt,
        fingerprint=fingerprint_of(parts.credential.credential, salt) if salt else "",
        options=options,
        policy=parts.request.policy,
        planned=planned.planned,
    )
    files.save(path, msgspec.json.format(msgspec.json.encode(approved), indent=1), "plan")


def load(path: Path) -> "ApprovedPlan":
    """Read a saved plan. Raises UsageError for one that is none, and for one that others may have changed."""
    import msgspec

    from orchestrator.core.approved import VERSION, ApprovedPlan

    again = f"Make it again: `ecs-rollout plan --cluster NAME --credential SOURCE --out {shlex.quote(str(path))}`."
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            text = file.read()
        if status.st_mode & _WRITABLE_BY_OTHERS or status.st_uid not in {os.getuid(), 0}:
            raise UsageError(
                f"Others can write {path}: what it says may not be what was approved.",
                hint=f"Make it again, or read it, own it and `chmod go-w {path}`.",
            )
        version = msgspec.json.decode(text, type=dict[str, msgspec.Raw])["version"]
        if msgspec.json.decode(version) != VERSION:
            raise UsageError(f"{path} was saved by another version of ecs-rollout.", hint=again)
        return msgspec.json.decode(text, type=ApprovedPlan, strict=True)
    except OSError as error:
        raise UsageError(f"The plan {path} cannot be read: {error.strerror}.", hint="Check --plan.") from error
    except (msgspec.MsgspecError, KeyError) as error:
        raise UsageError(f"{path} is no saved plan, or a damaged one.", hint=again) from error


def from_plan(ctx: click.Context, _param: click.Parameter, value: Path | None) -> Path | None:
    """Take the flags that the plan was made with, so that nobody has to repeat them."""
    if value is not None:
        approved = load(value)
        ctx.meta[_PLAN] = approved
        ctx.default_map = {**(ctx.default_map or {}), **approved.options}
    return value


def approved_in(ctx: click.Context) -> "ApprovedPlan | None":
    """Give the plan that was named with --plan. Raises RefusedError where other flags were given than it was made with.

    Nothing was asked of AWS yet.
    """
    approved: ApprovedPlan | None = ctx.meta.get(_PLAN)
    if approved is None:
        return None
    unknown = sorted(set(approved.options) - {param.name for param in ctx.command.params})
    alone = ctx.command.make_context("run", ["--plan", str(ctx.params["plan_file"])], parent=ctx.parent)
    different = [f"{_flag(name)}: this version does not know it" for name in unknown]
    different += [
        f"{_flag(name)}: {_text(alone.params[name])} in the plan, {_text(value)} now"
        for name, value in ctx.params.items()
        if name not in NOT_PART and alone.params[name] != value
    ]
    _refuse(different, approved, "The flags are not those that the plan was made with")
    return approved


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _text(value: Any) -> str:  # noqa: ANN401 - any flag's value
    if isinstance(value, list | tuple):
        return ",".join(_text(each) for each in value) or "none"
    return "none" if value is None else str(getattr(value, "text", value))


def fitted(approved: "ApprovedPlan", parts: "Parts", now: "Plan", say: Callable[[str], None]) -> "Plan":
    """Give the approved plan over what was seen now. Says what differs, and then raises RefusedError."""
    from orchestrator.core.approved import as_approved, changes_since

    changes = changes_since(approved, now)
    different = [*_surroundings(approved, parts, now), *(f"{what}: {_names(keys)}" for what, keys in changes.items())]
    _refuse(different, approved, "The plan does not fit any more")
    say(f"The plan of {_when(approved)} still fits.\n")
    return as_approved(approved, now)


def _names(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more


def _surroundings(approved: "ApprovedPlan", parts: "Parts", now: "Plan") -> Iterator[str]:
    for what, then, found in (
        ("cluster", approved.cluster, parts.cluster),
        ("Region", approved.region, parts.session.region),
    ):
        if then != found:
            yield f"{what}: {then} in the plan, {found} now"
    if not _same_credential(approved, parts, now):
        yield f"the credential: {approved.credential} has another content now"
    policy = parts.request.policy
    for each in fields(Policy):
        then, found = getattr(approved.policy, each.name), getattr(policy, each.name)
        if then != found:
            yield f"{_flag(each.name)}: {_text(then)} in the plan, {_text(found)} now"


def _same_credential(approved: "ApprovedPlan", parts: "Parts", now: "Plan") -> bool:
    from orchestrator.core.approved import fingerprint_of

    if approved.generation:
        return approved.generation == now.generation
    return approved.fingerprint == fingerprint_of(parts.credential.credential, approved.salt)


def _refuse(different: Sequence[str], approved: "ApprovedPlan", message: str) -> None:
    from orchestrator.report.layout import WIDTH

    if not different:
        return
    for line in different[:_SHOWN]:
        speech.tell(textwrap.fill(line, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False))
    if len(different) > _SHOWN:
        speech.tell(f"- and {len(different) - _SHOWN} more")
    count = f"{len(different)} difference" + ("s" if len(different) > 1 else "")
    raise RefusedError(
        f"{message}: {count} since {_when(approved)}.",
        hint=f"No instance was changed. Look at a fresh plan: `{shlex.join(_again(approved))}`.",
    )


def _again(approved: "ApprovedPlan") -> tuple[str, ...]:
    """Name the command that plans the same once more."""
    return ("ecs-rollout", "plan", *spelled(approved.options), "--out", "FILE")


def _when(approved: "ApprovedPlan") -> str:
    return datetime.fromtimestamp(approved.made_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
