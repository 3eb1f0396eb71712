"""Read CloudFormation templates, and do what CloudFormation does with `!Sub`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parent.parent.parent / "deploy"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def _function(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> Any:
    match node:
        case yaml.ScalarNode():
            value: Any = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            raise yaml.YAMLError(f"no short form of {name}")
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _function)


def template(text: str) -> dict[str, Any]:
    """Read a template, its short forms written out."""
    loaded: dict[str, Any] = yaml.load(text, _Loader)
    return loaded


def resources() -> dict[str, Any]:
    """The resources of deploy/template.yaml."""
    found: dict[str, Any] = template((DEPLOY / "template.yaml").read_text())["Resources"]
    return found


def substituted(value: Any, names: Mapping[str, Any]) -> Any:
    """Carry out the functions that the templates use. A condition holds where its name is among the `names`."""
    match value:
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([\w:.]+)\}", lambda found: names[found[1]], text)
        case {"Ref": str(name)} | {"Fn::GetAtt": str(name)} if name in names:
            return names[name]
        case {"Fn::If": [name, yes, no]}:
            return substituted(yes if name in names else no, names)
        case {"Fn::Join": [separator, parts]}:
            joined = (
                [each for each in substituted(parts, names) if each != NO_VALUE]
                if isinstance(parts, list)
                else [names[parts["Ref"]]]
            )
            return separator.join(joined)
        case {"Fn::Split": [separator, text]}:
            return substituted(text, names).split(separator)
        case dict():
            return {key: substituted(each, names) for key, each in value.items()}
        case list():
            return [substituted(each, names) for each in value]
        case _:
            return value


NO_VALUE = {"Ref": "AWS::NoValue"}
