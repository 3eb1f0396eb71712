"""What the lint of a credential found, for a person and as JSON. Names and rules only, never a secret."""

from orchestrator.core.credential_lint import ImageMatch, ImageOutcome, Report
from orchestrator.core.findings import Finding
from orchestrator.report.layout import wrap


def lint_text(report: Report) -> str:
    """Give what was recognised, the findings with their hints, the images, and the verdict."""
    names = ", ".join(report.credential.names) if not report.refused else ""
    lines = [f"recognised: {report.format}" + (f", for {names}" if names else "")]
    lines += [wrap(f"mended: {_worded(finding)}") for finding in report.fixed]
    for finding in report.findings:
        lines.append(wrap(f"{finding.severity}: {_worded(finding)}"))
        lines.append(wrap(f"{finding.hint}" + (" (--fix does it)" if finding.fixable else ""), "    "))
    lines += [f"image {match.image}: {_image(match)}" for match in report.images]
    lines.append("refused: the agent would not use it, or not as meant" if report.refused else "good")
    return "\n".join(lines)


def lint_json(report: Report) -> dict[str, object]:
    """Give the judgement as a JSON object."""
    return {
        "schema": 1,
        "format": report.format,
        "refused": report.refused,
        "registries": [] if report.refused else list(report.credential.names),
        "findings": [_finding(finding) for finding in report.findings],
        "fixed": [_finding(finding) for finding in report.fixed],
        "images": [
            {"image": match.image, "outcome": match.outcome, "keys": list(match.keys)} for match in report.images
        ],
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "registry": finding.registry,
        "message": finding.message,
        "hint": finding.hint,
        "fixable": finding.fixable,
    }


def _worded(finding: Finding) -> str:
    where = f"{finding.registry}: " if finding.registry else ""
    return f"{where}{finding.message} [{finding.rule}]"


def _image(match: ImageMatch) -> str:
    match match.outcome:
        case ImageOutcome.LOGIN:
            return f"logs in with the entry {match.keys[0]}"
        case ImageOutcome.ANONYMOUS:
            return "no entry matches: pulled without a login"
        case ImageOutcome.CHANCE:
            return f"chance decides between {', '.join(match.keys)}"
