"""Links to the AWS console, in the partition that a Region belongs to."""

from urllib.parse import quote

_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


def partition_of(arn: str, region: str) -> str:
    """Name the partition: an ARN tells it; without one the Region's name does."""
    parts = arn.split(":")
    if parts[0] == "arn" and len(parts) > 1:
        return parts[1]
    return next((f"aws-{each}" for each in ("cn", "us-gov", "iso", "iso-b") if region.startswith(f"{each}-")), "aws")


def command_url(region: str, partition: str, command_id: str) -> str | None:
    """Give the page of one command in the Systems Manager console; None in partitions whose console is not public."""
    console = _CONSOLES.get(partition)
    if console is None or not region.replace("-", "").isalnum():
        return None
    return f"https://{region}.{console}/systems-manager/run-command/{quote(command_id, safe='')}?region={quote(region)}"
