"""What a journal in DynamoDB needs: of whoever runs ecs-rollout, and once of whoever makes its table."""

from orchestrator.core.iam import Place
from orchestrator.core.iam_document import Statement


def keeps_journal(place: Place, table: str) -> Statement:
    """Allow reading and writing the journal. A transaction needs what its parts need: it is no action of its own."""
    actions = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem")
    return Statement(sid="KeepJournal", actions=actions, resources=(place.arn("dynamodb", f"table/{table}"),))


def makes_table(place: Place, table: str) -> Statement:
    """Allow `state init`."""
    actions = ("dynamodb:CreateTable", "dynamodb:DescribeTable")
    return Statement(sid="MakeJournal", actions=actions, resources=(place.arn("dynamodb", f"table/{table}"),))
