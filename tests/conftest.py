"""What every test has: hypothesis profiles. `make soak` runs the long one; seeds are printed by every failure."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", settings.get_profile("default"), max_examples=3000)
settings.load_profile("default")

_PRINTED = {"kills": "kill points", "measured": "measured"}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many kills were tried and what was measured: such notes travel from xdist's workers with reports."""
    for report in terminalreporter.stats.get("passed", []):
        for name, text in getattr(report, "user_properties", ()):
            if name in _PRINTED and report.when == "call":
                terminalreporter.write_line(f"{_PRINTED[name]}: {text}")
