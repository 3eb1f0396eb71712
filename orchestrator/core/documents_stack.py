"""The three documents as a CloudFormation template, for accounts where everything is a stack."""

import textwrap
from collections.abc import Mapping

_HEAD = """\
AWSTemplateFormatVersion: "2010-09-09"
Description: >-
  The SSM documents of ecs-rollout, as this version sends them. With more than 51,200 bytes it goes through a bucket:
  aws cloudformation deploy --s3-bucket.

# cfn-lint 1.58 cannot parse a document that is a text; `ecs-rollout documents check --local` knows the rules (F50-F63).
Metadata:
  cfn-lint:
    config:
      ignore_checks: [E3051]

Parameters:
  DocumentPrefix:
    Type: String
    Description: First part of the documents' names, as in --document-prefix.
    Default: {prefix}

Resources:
"""

# The content is a text and stays one: as an object CloudFormation would write it anew as JSON, where the largest of the
# documents hardly fits (F63). NewVersion: a document that is replaced loses the versions that runs have pinned.
_DOCUMENT = """\
  {title}:
    Type: AWS::SSM::Document
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties:
      Name: !Sub "${{DocumentPrefix}}-{name}"
      DocumentType: Command
      DocumentFormat: YAML
      TargetType: /AWS::EC2::Instance
      UpdateMethod: NewVersion
      Content: |
{content}"""


def documents_stack(texts: Mapping[str, str], *, prefix: str) -> str:
    """Write the template. `texts`: the documents' YAML by their names; each stands in it byte for byte."""
    documents = (
        _DOCUMENT.format(title=name.capitalize(), name=name, content=textwrap.indent(text, " " * 8))
        for name, text in texts.items()
    )
    return _HEAD.format(prefix=prefix) + "\n".join(documents)
