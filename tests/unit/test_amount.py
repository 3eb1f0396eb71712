"""Counts and percentages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.amount import Amount


@pytest.mark.parametrize("text", ["", "-1", "1.5", "ten", "10 %", "101%", "%", "\u0661"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    """Only whole numbers and percentages up to 100 are amounts."""
    with pytest.raises(ValueError, match=r"neither|more"):
        Amount.parse(text)


@given(st.integers(0, 100), st.integers(0, 10_000), st.integers(0, 1))
def test_percentages_round_down_to_the_least(percent: int, total: int, least: int) -> None:
    """A percentage never gives more than its share, and never less than the least."""
    count = Amount.parse(f"{percent}%").of(total, at_least=least)
    assert count >= least
    assert count <= max(least, total * percent / 100)


@pytest.mark.parametrize("text", ["0", "7", "10%", "100%"])
def test_an_amount_reads_as_it_was_written(text: str) -> None:
    """Printing an amount gives what was parsed."""
    assert str(Amount.parse(text)) == text
