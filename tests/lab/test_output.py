"""The two texts of a step share one short one, as the agent cuts it (F59)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.lab.command_views import DETAILS_LIMIT, both, cut_text
from orchestrator.lab.commands import share


@given(st.integers(0, 6000), st.integers(0, 6000))
def test_both_texts_fit_and_stdout_comes_first(out: int, err: int) -> None:
    """Whatever their lengths, the text keeps the limit, begins with stdout, and loses nothing that fits."""
    text = both("o" * out, "e" * err)
    assert len(text) <= DETAILS_LIMIT
    title = "\n----------ERROR-------\n" if err else ""
    if out + err + len(title) <= DETAILS_LIMIT:
        assert text == "o" * out + title + "e" * err
    else:
        assert text.startswith("o" * min(out, 1000))
        assert "truncated" in text


def test_a_result_line_of_two_thousand_survives_a_short_stderr_only() -> None:
    """With more than half the room of stderr, stdout is cut in the middle: a result line must be alone."""
    line = "r" * 2000
    assert both(line, "e" * 300).startswith(line)
    assert not both(line, "e" * 1500).startswith(line)


def test_cutting_never_halves_a_character() -> None:
    """The limit counts bytes."""
    assert cut_text("aé", 2) == "a"
    assert cut_text("aé", 3) == "aé"


@pytest.mark.parametrize(
    ("limit", "count", "expected"), [("50", 10, 50), ("10%", 15, 1), ("10%", 5, 1), ("100%", 7, 7)]
)
def test_a_share_rounds_down(limit: str, count: int, expected: int) -> None:
    """MaxConcurrency of a percentage is at least one."""
    assert share(limit, count, least=1) == expected
