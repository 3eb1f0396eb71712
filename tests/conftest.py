"""What every test has: hypothesis profiles. `make soak` runs the long one; seeds are printed by every failure."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", settings.get_profile("default"), max_examples=3000)
settings.load_profile("default")

_PRINTED = {"kills": "kill points", "measured": "measured"}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was tried and measured: such notes travel from xdist's workers with their reports.

    `crashes` are a number and what it counts, and are summed up.
    """
    crashes: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        for name, note in getattr(report, "user_properties", ()) if report.when == "call" else ():
            if name == "crashes":
                number, what = note
                crashes[what] += number
            elif name in _PRINTED:
                terminalreporter.write_line(f"{_PRINTED[name]}: {note}")
    for what, number in sorted(crashes.items()):
        terminalreporter.write_line(f"crash points: {number} {what}")
