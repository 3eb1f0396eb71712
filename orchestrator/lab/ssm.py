"""The engine for the SSM operations that the lab answers itself: Run Command, inventory, documents, calendars."""

from collections.abc import Mapping
from typing import Any

from orchestrator.lab.calendars import Calendars
from orchestrator.lab.documents_store import DocumentStore
from orchestrator.lab.faults import Faults
from orchestrator.lab.managed import Inventory, ManagedHost
from orchestrator.lab.run_command import RunCommand
from orchestrator.lab.wire import Clock, Notice, unnoticed


class Ssm:
    """One engine in front of four. SSM parameters and everything else in the service are moto's."""

    OPERATIONS = RunCommand.OPERATIONS | Inventory.OPERATIONS | DocumentStore.OPERATIONS | Calendars.OPERATIONS

    def __init__(
        self,
        hosts: Mapping[str, ManagedHost],
        clock: Clock,
        faults: Faults,
        *,
        account: str,
        seed: int = 0,
        notice: Notice = unnoticed,
    ) -> None:
        self.documents = DocumentStore(clock, account=account)
        self.inventory = Inventory(hosts, clock)
        self.calendars = Calendars(clock)
        self.commands = RunCommand(hosts, clock, self.documents, faults, seed=seed, notice=notice)

    def owns(self, operation: str, params: Mapping[str, Any]) -> bool:
        """Say whether the lab answers this itself."""
        tags = operation in DocumentStore.TAG_OPERATIONS and params.get("ResourceType") == "Document"
        return operation in self.OPERATIONS or tags

    async def handle(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Answer one operation."""
        if operation in RunCommand.OPERATIONS:
            return await self.commands.handle(operation, params)
        if operation in Inventory.OPERATIONS:
            return await self.inventory.handle(operation, params)
        if operation in Calendars.OPERATIONS:
            return await self.calendars.handle(operation, params)
        return await self.documents.handle(operation, params)

    async def stop(self) -> None:
        """End every running script. Raises what a delivery raised."""
        await self.commands.stop()
