"""`ecs-rollout documents`: publish, render, template, check."""

from pathlib import Path

import click

from orchestrator.cli import groups, options, speech
from orchestrator.errors import RefusedError


@click.group(name="documents", cls=groups.Group)
def documents() -> None:
    """Publish, render, print as a template or check the three SSM documents.

    \b
      ecs-rollout documents publish
      ecs-rollout documents check
    """


@documents.command()
@options.document_prefix
@options.aws_options
def publish(document_prefix: str, region: str | None, profile: str | None) -> None:
    """Create or update the documents and make them the default versions.

    Doing it twice changes nothing; no version is ever removed.

    \b
      ecs-rollout documents publish --region eu-central-1
    """
    from orchestrator.cli import compose

    published = compose.documents(region=region, profile=profile, prefix=document_prefix).publish()
    wide = max(len(each.name) for each in published)
    for each in published:
        speech.show(f"{each.name:<{wide}}  version {each.version}  {each.what}")


@documents.command()
@click.option("--directory", type=click.Path(path_type=Path, file_okay=False), required=True, help="Where to.")
def render(directory: Path) -> None:
    """Write the documents as YAML files that `aws ssm create-document` takes.

    \b
      ecs-rollout documents render --directory documents
    """
    from orchestrator.cli import compose

    directory.mkdir(parents=True, exist_ok=True)
    for op, text in compose.rendered().items():
        (directory / f"{op}.yaml").write_text(text, encoding="utf-8")
        speech.show(str(directory / f"{op}.yaml"))


@documents.command()
@options.document_prefix
def template(document_prefix: str) -> None:
    """Print the documents as a CloudFormation template.

    \b
      ecs-rollout documents template >documents.yaml
      aws cloudformation deploy --stack-name ecs-rollout-documents \\
        --template-file documents.yaml --s3-bucket BUCKET
    """
    from orchestrator.cli import compose
    from orchestrator.core.documents_stack import documents_stack

    texts = {op.value: text for op, text in compose.rendered().items()}
    speech.show(documents_stack(texts, prefix=document_prefix).rstrip("\n"))


@documents.command()
@click.option("--local", is_flag=True, help="Check only that documents/*.yaml are what documents/src/ renders.")
@options.document_prefix
@options.aws_options
def check(*, local: bool, document_prefix: str, region: str | None, profile: str | None) -> None:
    """Check that what is published (or, with --local, what lies here) is what this version would send.

    \b
      ecs-rollout documents check --region eu-central-1
    """
    from orchestrator.cli import compose

    if local:
        stale = compose.stale_documents()
        if stale:
            raise RefusedError(
                f"Not what documents/src renders, or against the rules: {'; '.join(stale)}.",
                hint="Run `ecs-rollout documents render --directory documents`.",
            )
        speech.show("documents/*.yaml are what documents/src renders, and keep the rules.")
        return
    states = compose.documents(region=region, profile=profile, prefix=document_prefix).check()
    wide = max(len(name) for name, _ in states)
    for name, state in states:
        speech.show(f"{name:<{wide}}  {state}")
    if any(state != "unchanged" for _, state in states):
        raise RefusedError(
            "Not every document is published as this version has it.", hint="Run `ecs-rollout documents publish`."
        )
