"""The policies in deploy/template.yaml: what `ecs-rollout iam` prints, with the stack's own names in it."""

import re
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from orchestrator.core.iam import Place, controller_policy, instance_policy
from orchestrator.core.iam_document import IamPolicy, Statement
from orchestrator.core.iam_journal import keeps_journal
from orchestrator.core.iam_unattended import Extras, extra_statements
from orchestrator.core.metrics import parse_meter
from orchestrator.core.notices import TopicTarget
from orchestrator.core.source import S3Source, SecretsManagerSource

TEMPLATE = Path(__file__).parent.parent / "deploy" / "template.yaml"
PLACE = Place(partition="${AWS::Partition}", account="${AWS::AccountId}", region="${AWS::Region}", cluster="${Cluster}")
_KEY = replace(PLACE, kms_key="${DeliveryKey}")
_BOOT_KEY = "BootKey"
"""A policy's own variables look like the template's, so a key's `$` would be escaped: it is put in afterwards."""

_BLOCK = re.compile(
    r"(?P<head>(?P<indent> *)# begin (?P<name>\w+):[^\n]*\n).*?(?P<tail> *# end (?P=name)\n)", re.DOTALL
)


def policies() -> Mapping[str, IamPolicy]:
    """Each block's name and policy."""
    controller = controller_policy(PLACE, source=SecretsManagerSource(name="${Secret}"), gates=True)
    extras = Extras(
        notify=[TopicTarget(arn="${Topic}")],
        metrics=[parse_meter("cloudwatch:ecs-rollout")],
        rotates=SecretsManagerSource(name="${Secret}"),
    )
    journal = keeps_journal(PLACE, "${StateTable}")
    boots = Extras(boot_configs=[S3Source(bucket="${BootBucket}", key=_BOOT_KEY)])
    return {
        "rollout": _whole(*controller.statements, journal, *extra_statements(PLACE, extras)),
        "boot": _whole(*extra_statements(PLACE, boots)),
        "encrypt": _more(controller_policy(_KEY), controller_policy(PLACE)),
        "fetch": instance_policy(PLACE),
        "decrypt": _more(instance_policy(_KEY), instance_policy(PLACE)),
    }


def _whole(*statements: Statement) -> IamPolicy:
    return IamPolicy(statements=statements)


def _more(policy: IamPolicy, without: IamPolicy) -> IamPolicy:
    return IamPolicy(statements=tuple(each for each in policy.statements if each not in without.statements))


class _Sub(str):
    """A text with the stack's names in it."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


_Dumper.add_representer(_Sub, lambda dumper, text: dumper.represent_scalar("!Sub", str(text), style='"'))


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _marked(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_marked(each) for each in value]
    text = str(value).replace(f"/{_BOOT_KEY}", "/${BootKey}")
    return _Sub(text) if "${" in text else text


def with_policies(text: str) -> str:
    """Put every policy in its place. Raises KeyError for a place that has no policy."""

    def put(found: re.Match[str]) -> str:
        document = _marked(policies()[found["name"]].document())
        written = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000)
        return f"{found['head']}{textwrap.indent(written, found['indent'])}{found['tail']}"

    return _BLOCK.sub(put, text)


def write() -> None:
    """Write them into the template."""
    TEMPLATE.write_text(with_policies(TEMPLATE.read_text(encoding="utf-8")), encoding="utf-8")
