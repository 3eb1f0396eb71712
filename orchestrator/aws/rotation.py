"""The entry point that a Secrets Manager rotation function names: `orchestrator.aws.rotation.handler`.

It stands here for its name. As main is for a shell, the command line's composition is what it starts, so this one
module may import from above (pyproject, import-linter).
"""

from orchestrator.cli.function import handler

__all__ = ["handler"]
