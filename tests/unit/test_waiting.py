"""What is given up after a time has been tried all that time: hours in which nobody asked do not count."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from orchestrator.core.amount import Amount
from orchestrator.core.events import Held
from orchestrator.core.gates import GateAnswer
from orchestrator.core.settings import OnEphemeral, Policy, Word
from orchestrator.core.state import RunState
from orchestrator.engine import result_of
from orchestrator.errors import EnvironmentFault
from tests.fake_fleet import Rollout, VirtualClock, World, fleet_of, plenty
from tests.property.troubles import crowded
from tests.unit.test_giving_back import ending, resumed, ticked

HOURS = 20_000.0
EVERYTHING = Amount(100, percent=True)
IMPATIENT = Policy(waves=(EVERYTHING,), max_unavailable=EVERYTHING, gate_timeout=300)
DRAINING = replace(IMPATIENT, on_ephemeral=OnEphemeral.DRAIN, drain_timeout=300)


@dataclass
class Fixable:
    """Cannot be asked, or says its word."""

    word: Word | None = None
    name: str = "fixable"

    def ask(self, now: float) -> GateAnswer:
        del now
        if self.word is None:
            raise EnvironmentFault("no answer", hint="wait")
        return GateAnswer(gate=self.name, word=self.word, reason="told so")


def ticking(rollout: Rollout, seconds: float) -> Callable[[RunState], bool]:
    """Say when so much time is over, from the first question on."""
    end = rollout.world.clock.now() + seconds
    return lambda _: rollout.world.clock.now() >= end


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("fixed", [True, False])
def test_a_gate_has_its_whole_time_after_a_pause(*, same: bool, fixed: bool) -> None:
    """A gate that cannot be asked halts the run after --gate-timeout of asking, whoever slept or died in between."""
    gate = Fixable()
    rollout = Rollout(World(fleet_of(3), VirtualClock()), IMPATIENT, gates=[gate])
    clock = rollout.world.clock
    engine = ticked(rollout, ticking(rollout, 120))
    clock.wait(HOURS)
    if fixed:
        clock.at(clock.now() + 50, lambda: setattr(gate, "word", Word.GO))
    if not same:
        state = resumed(rollout)
    else:
        while engine.state.ended is None:
            engine.tick()
            clock.wait(2)
        state = engine.state
    assert (result_of(state) == "ok") is fixed
    if not fixed:
        assert state.halted is not None
        assert state.ended_at is not None
        seconds = int(state.halted.why.removeprefix("gate fixable cannot be asked for ").partition(" ")[0])
        assert 300 < seconds < 400
        assert HOURS < state.ended_at - state.started_at < HOURS + 600


@pytest.mark.parametrize("freed", [True, False])
def test_a_place_for_tasks_is_looked_for_all_the_time(*, freed: bool) -> None:
    """Hours in which a gate held do not count as hours without a place: the instance is held for its whole time."""
    gate = Fixable(Word.GO)
    hosts = fleet_of(1, persistence="ephemeral")
    rollout = Rollout(World(hosts, VirtualClock()), DRAINING, gates=[gate])
    world = rollout.world
    world.room = crowded
    ticked(rollout, ticking(rollout, 120))
    gate.word = Word.HOLD
    now = world.clock.now()
    world.clock.at(now + HOURS, lambda: setattr(gate, "word", Word.GO))
    if freed:
        world.clock.at(now + HOURS + 50, lambda: setattr(world, "room", plenty))
    state = resumed(rollout)
    assert ending(state) == (("updated", "verified") if freed else ("refused", "no_capacity"))
    held = [entry.at for entry in world.journal.entries if isinstance(entry.event, Held)]
    assert sum(at < now for at in held) > 5
    assert sum(at > now for at in held) >= 3
