"""The lifecycle's table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.lifecycle import LIFECYCLE, Phase, Step, UnknownTransitionError, advance, diagram
from orchestrator.core.model import OutcomeKind


def test_every_phase_stands_in_the_table() -> None:
    """No phase without its invariant, its bound and its exits."""
    assert set(LIFECYCLE) == set(Phase)
    for rule in LIFECYCLE.values():
        assert rule.invariant
        assert rule.bounded_by
        assert rule.exits
        assert (Step.CONCLUDED in rule.exits) == bool(rule.outcomes)


def test_every_outcome_can_be_reached() -> None:
    """No outcome that no phase can end with."""
    assert frozenset().union(*(rule.outcomes for rule in LIFECYCLE.values())) == set(OutcomeKind)


@given(st.sampled_from(list(Phase)), st.sampled_from(list(Step)))
def test_what_the_table_does_not_know_is_an_error(phase: Phase, step: Step) -> None:
    """An event that the table does not hold for a phase is an error, never ignored."""
    if step in LIFECYCLE[phase].exits:
        assert advance(phase, step) is LIFECYCLE[phase].exits[step]
    else:
        with pytest.raises(UnknownTransitionError):
            advance(phase, step)


@given(st.sampled_from(list(Step)))
def test_outcomes_are_final(step: Step) -> None:
    """Nothing happens to an instance after its outcome."""
    with pytest.raises(UnknownTransitionError):
        advance(None, step)


def test_the_diagram_shows_every_transition() -> None:
    """The README's diagram is drawn from the table and misses nothing."""
    drawn = diagram()
    for phase, rule in LIFECYCLE.items():
        for step, target in rule.exits.items():
            if target is not None:
                assert f"{phase} --> {target}: {step}" in drawn
        assert (f"{phase} --> [*]" in drawn) == bool(rule.outcomes)
