"""The lab's instances: who is there, and what happens to them while somebody rolls them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from orchestrator.lab.access import Access
from orchestrator.lab.container_service import ContainerService
from orchestrator.lab.faults import Faults
from orchestrator.lab.instance import Host, stop_hosts
from orchestrator.lab.isolation import Place
from orchestrator.lab.scenario import Deed, Event, InstanceSpec, Scenario
from orchestrator.lab.wire import Clock

_AT_ONCE = 16


class Occasions:
    """Counts occasions by instance and wakes up what waits for one."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._waiting: dict[tuple[str, str, int], list[Callable[[], None]]] = {}

    def note(self, occasion: str, instance_id: str) -> None:
        """Take note of one."""
        self._counts[occasion, instance_id] += 1
        for wake in self._waiting.pop((occasion, instance_id, self._counts[occasion, instance_id]), ()):
            wake()

    def at(self, occasion: str, instance_id: str, nth: int, wake: Callable[[], None]) -> None:
        """Call `wake` at the `nth` occasion of an instance."""
        self._waiting.setdefault((occasion, instance_id, nth), []).append(wake)


class Fleet:
    """Starts and stops the instances, and does to them what the scenario's events say.

    `hosts` is shared with whoever sends commands; `place` finds where an instance runs, `control_url` where its
    shims and metadata are served.
    """

    def __init__(  # noqa: PLR0913 - what instances cannot be without
        self,
        scenario: Scenario,
        directory: Path,
        *,
        hosts: dict[str, Host],
        ecs: ContainerService,
        faults: Faults,
        access: Access,
        clock: Clock,
        occasions: Occasions,
        place: Callable[[Path], Place],
        control_url: Callable[[str], str],
    ) -> None:
        self._scenario = scenario
        self._directory = directory
        self._hosts = hosts
        self._ecs = ecs
        self._faults = faults
        self._access = access
        self._clock = clock
        self._occasions = occasions
        self._place = place
        self._control_url = control_url
        self._happening: set[asyncio.Task[None]] = set()
        self._broken: list[BaseException] = []

    async def start(self) -> None:
        """Start the scenario's instances, some at once; then its events begin to count."""
        slots = asyncio.Semaphore(_AT_ONCE)
        # Places are given in the scenario's order, whoever starts first.
        made = [self._made(spec) for spec in self._scenario.instances]

        async def start(host: Host) -> None:
            async with slots:
                await host.start()

        async with asyncio.TaskGroup() as group:
            for host in made:
                group.create_task(start(host))
        for event in self._scenario.events:
            self._expect(event)

    async def stop(self) -> None:
        """End every event and every instance. Raises what an event raised: a fault of the lab is not passed over."""
        for task in tuple(self._happening):
            task.cancel()
        await asyncio.gather(*self._happening, return_exceptions=True)
        await stop_hosts(self._hosts.values())
        if self._broken:
            raise self._broken[0]

    def _made(self, spec: InstanceSpec) -> Host:
        host = Host(
            spec,
            self._directory,
            backend=self._ecs,
            clock=self._clock,
            control_url=self._control_url(spec.instance_id),
            cluster=self._scenario.cluster,
            account=self._scenario.account,
            seed=self._scenario.seed,
            place=self._place(self._directory / spec.instance_id),
        )
        self._hosts[spec.instance_id] = host
        self._access.admit(spec.instance_id)
        return host

    def _expect(self, event: Event) -> None:
        def begin() -> None:
            task = asyncio.create_task(self._happen(event))
            self._happening.add(task)
            task.add_done_callback(self._done)

        if event.when:
            self._occasions.at(event.when, event.of or event.instance_id, event.nth, begin)
        else:
            begin()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._happening.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._broken.append(error)

    async def _happen(self, event: Event) -> None:
        await self._clock.sleep(event.after)
        for deed in self._deeds(event):
            await deed

    def _deeds(self, event: Event) -> Iterable[Coroutine[Any, Any, None]]:
        name = event.instance_id
        match event.what:
            case Deed.TERMINATE:
                yield self._terminate(name)
            case Deed.REPLACE:
                yield self._terminate(name)
                yield self._join(event.joins)
            case Deed.JOIN:
                yield self._join(event.joins)
            case Deed.DRAIN:
                yield self._ecs.set_status(name, "DRAINING")
            case Deed.ACTIVATE:
                yield self._ecs.set_status(name, "ACTIVE")
            case Deed.UPDATE_AGENT:
                yield self._hosts[name].update_agent(event.version)
            case Deed.RESTART_SSM:
                yield self._restart_ssm(name, event.away)

    async def _terminate(self, instance_id: str) -> None:
        await self._hosts[instance_id].vanish()
        await self._ecs.terminated(instance_id)

    async def _join(self, spec: InstanceSpec | None) -> None:
        if spec is not None:
            await self._made(spec).start()

    async def _restart_ssm(self, instance_id: str, seconds: float) -> None:
        """Be away: nothing is delivered, no result is sent, and the inventory does not know it yet (F61, F71)."""
        self._faults.undeliverable.add(instance_id)
        await self._clock.sleep(seconds)
        self._faults.undeliverable.discard(instance_id)
