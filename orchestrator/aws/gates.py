"""Gates that ask AWS: CloudWatch alarms and SSM Change Calendar."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.aws.session import translated
from orchestrator.core.gates import GateAnswer
from orchestrator.core.settings import Word
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ssm import SSMClient

_NAMES = 100
"""Alarm names that one DescribeAlarms takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmGate:
    """Stops while an alarm is in ALARM; without data it says what it was told to say."""

    client: "CloudWatchClient"
    alarms: Sequence[str]
    missing_data: Word = Word.HOLD
    name: str = "alarm"

    def ask(self, now: float) -> GateAnswer:  # noqa: ARG002 - the port's signature
        """Read the alarms' states. Raises UsageError when one of them does not exist."""
        found = self._states()
        unknown = sorted(set(self.alarms) - set(found))
        if unknown:
            raise UsageError(f"There is no alarm {', '.join(unknown)}.", hint="Check --alarm and --region.")
        ringing = sorted(name for name, state in found.items() if state == "ALARM")
        silent = sorted(name for name, state in found.items() if state == "INSUFFICIENT_DATA")
        if ringing:
            return GateAnswer(gate=self.name, word=Word.STOP, reason=f"in ALARM: {', '.join(ringing)}")
        if silent:
            return GateAnswer(gate=self.name, word=self.missing_data, reason=f"no data: {', '.join(silent)}")
        return GateAnswer(gate=self.name, word=Word.GO, reason="no alarm is ringing")

    def _states(self) -> dict[str, str]:
        states: dict[str, str] = {}
        for start in range(0, len(self.alarms), _NAMES):
            with translated("cloudwatch:DescribeAlarms"):
                pages = self.client.get_paginator("describe_alarms").paginate(
                    # Without the types only metric alarms are found.
                    AlarmNames=list(self.alarms[start : start + _NAMES]),
                    AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                )
                for page in pages:
                    found = (*page.get("MetricAlarms", []), *page.get("CompositeAlarms", []))
                    states |= {each["AlarmName"]: each["StateValue"] for each in found}
        return states


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarGate:
    """Holds while one of the change calendars is closed."""

    client: "SSMClient"
    calendars: Sequence[str]
    name: str = "calendar"

    def ask(self, now: float) -> GateAnswer:  # noqa: ARG002 - the port's signature
        """Read the calendars' state now."""
        with translated("ssm:GetCalendarState"):
            state = self.client.get_calendar_state(CalendarNames=list(self.calendars))
        if state.get("State") == "OPEN":
            return GateAnswer(gate=self.name, word=Word.GO, reason="the change calendar is open")
        until = state.get("NextTransitionTime", "")
        reason = "the change calendar is closed" + (f" until {until}" if until else "")
        return GateAnswer(gate=self.name, word=Word.HOLD, reason=reason)
