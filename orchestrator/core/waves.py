"""Who comes first, and in which wave: the order of admission. Pure and deterministic."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, zip_longest

from orchestrator.core.amount import Amount
from orchestrator.core.model import DecisionKind, Planned
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import ZoneOrder


def waved(count: int, waves: Sequence[Amount]) -> list[int]:
    """Give each of `count` instances, in order, its wave. `waves` are cumulative; the last is always everything.

    A wave that would add nobody is left out, so that waves are numbered without gaps.
    """
    numbers: list[int] = []
    wave = 0
    for amount in (*waves[:-1], None):
        upto = count if amount is None else min(amount.of(count, at_least=1), count)
        if upto > len(numbers):
            wave += 1
            numbers += [wave] * (upto - len(numbers))
    return numbers


def out_of_order(count: int, waves: Sequence[Amount]) -> tuple[Amount, Amount] | None:
    """Give the first two waves of which the later one means fewer of `count` instances, so that it adds nobody.

    Counts and shares can be compared in a fleet alone; such a pair is most often a share whose % was forgotten.
    """
    sizes = [min(each.of(count, at_least=1), count) for each in waves]
    for number, size in enumerate(sizes):
        most = max(range(number), key=lambda before: sizes[before], default=number)
        if size < sizes[most]:
            return waves[most], waves[number]
    return None


def in_order(changing: Sequence[Planned], zones: ZoneOrder, seed: str) -> list[Planned]:
    """Order the instances to change: the canary first, then idle ones before busy ones, zones as wanted.

    The canary is of the most common kind of host (AMI, agent version, restart method), so that what it proves holds
    for most of the fleet, and of those one with the fewest tasks. Those that must be drained come last. Among equals
    `seed` decides, so that another seed makes another one the canary; without one their ids do.
    """
    if not changing:
        return []
    proving = [each for each in changing if not _gives_back(each)] or changing
    kinds = Counter(_kind(each) for each in proving)
    common = max(kinds, key=lambda kind: (kinds[kind], kind))
    ranked = sorted(changing, key=partial(_rank, seed))
    canary = next(each for each in ranked if _kind(each) == common)
    rest = [each for each in ranked if each is not canary]
    by_zone: dict[str, list[Planned]] = {}
    for each in sorted(rest, key=lambda each: each.instance.zone):
        by_zone.setdefault(each.instance.zone, []).append(each)
    return [canary, *(_one_by_one(by_zone) if zones is ZoneOrder.ONE_BY_ONE else _spread(by_zone))]


def _kind(each: Planned) -> tuple[str, str, str]:
    return each.instance.ami, each.instance.agent_version, each.facts.method if each.facts else ""


_LATE = (DecisionKind.APPLY, DecisionKind.DRAIN, DecisionKind.RELEASE)


def _gives_back(each: Planned) -> bool:
    """Say whether only what a dead run has left is given or taken back: that proves nothing of the credential."""
    return each.decision.kind is DecisionKind.RELEASE or each.decision.reason is Reason.NEEDS_HEALING


def _rank(seed: str, each: Planned) -> tuple[bool, int, int, bytes, str]:
    """Put what proves most first."""
    shuffled = hashlib.sha256(f"{seed}/{each.key}".encode()).digest() if seed else b""
    return _gives_back(each), _LATE.index(each.decision.kind), each.instance.running_tasks, shuffled, each.key


def _one_by_one(by_zone: dict[str, list[Planned]]) -> Iterator[Planned]:
    return chain.from_iterable(by_zone.values())


def _spread(by_zone: dict[str, list[Planned]]) -> Iterator[Planned]:
    """Take one of each zone in turn, so that neighbours in the order are in different zones."""
    for turn in zip_longest(*by_zone.values()):
        yield from (each for each in turn if each is not None)
