"""A report as JUnit XML, for pipelines: a test case for the run and one for each instance."""

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from orchestrator.core.model import OutcomeKind
from orchestrator.report.advice import advise
from orchestrator.report.chosen import worded
from orchestrator.report.formats import rotated
from orchestrator.report.rows import Row, RunReport
from orchestrator.report.times import moment

_NOT_KNOWN = frozenset({OutcomeKind.UNVERIFIED, OutcomeKind.UNREACHABLE})
"""Nobody could see what became of these: an error of the test, not a failure of what is tested."""


def as_junit(report: RunReport) -> str:
    """Give one test suite, in ASCII. It passes only where the run's result is ok.

    `failure`: an instance does not run the credential; `error`: that is not known; `skipped`: the run never came to
    it, or was not about it. A run that halted or has not ended, and a rotation whose AWSCURRENT stays, are failing
    cases of their own.
    """
    cases = [_of_run(report), *(_of_instance(report, row) for row in report.rows)]
    attributes = {
        "name": f"ecs-rollout {report.cluster}",
        "timestamp": datetime.fromtimestamp(report.started_at, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "time": f"{max((report.ended_at or report.started_at) - report.started_at, 0):.3f}",
        "tests": str(len(cases)),
    }
    for plural, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        attributes[plural] = str(sum(case.find(kind) is not None for case in cases))
    suite = ET.Element("testsuite", attributes)
    properties = ET.SubElement(suite, "properties")
    told = {"run": report.run, "region": report.region, "result": report.result, "generation": report.generation}
    told |= {"source": report.source} if report.source else {}
    told |= {"resumed": "; ".join(f"{moment(at)} by {by}" for at, by in report.resumed)} if report.resumed else {}
    told |= {"rotated": " ".join(rotated(report))} if rotated(report) else {}
    for name, value in {**told, **report.options}.items():
        ET.SubElement(properties, "property", name=name, value=worded(value))
    suite.extend(cases)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="us-ascii", xml_declaration=True)
    return text.decode("ascii")


def _of_run(report: RunReport) -> ET.Element:
    case = ET.Element("testcase", classname=report.cluster, name=f"run {report.run}", time="0.000")
    if report.running:
        ET.SubElement(case, "error", type="running", message=advise(report).result)
    elif report.halted:
        ET.SubElement(case, "failure", type=report.result, message=report.halted)
    elif report.after.unsaved:
        ET.SubElement(case, "error", type="unsaved", message=advise(report).words)
    elif report.after.left:
        ET.SubElement(case, "failure", type="not_promoted", message=report.after.left)
    return case


def _of_instance(report: RunReport, row: Row) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=f"{report.cluster}.wave-{row.wave}" if row.wave else report.cluster,
        name=row.instance_id,
        time=f"{row.duration_s:.3f}",
    )
    verdict = _verdict(row)
    if verdict:
        told = ET.SubElement(case, verdict, type=f"{row.outcome}.{row.reason}", message=row.meaning)
        seen = (f"Seen: {row.message}",) if row.message else ()
        commands = (f"Commands: {', '.join(row.command_ids)}",) if row.command_ids else ()
        after = (f"Afterwards: {row.afterwards}",) if row.afterwards else ()
        told.text = "\n".join((*seen, *after, f"Do: {row.remedy}", *commands))
    return case


def _verdict(row: Row) -> str:
    if row.outcome is OutcomeKind.NOT_ATTEMPTED or (row.outcome is OutcomeKind.SKIPPED and row.as_wanted):
        return "skipped"
    if row.as_wanted:
        return ""
    return "error" if row.outcome in _NOT_KNOWN else "failure"
