"""A lab for one story: its controllers are started here, and afterwards it is seen who was lost."""

import itertools
import json
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from orchestrator.aws.session import Session
from orchestrator.aws.ssm import SsmCommands
from orchestrator.cli import compose, store
from orchestrator.clock import SystemClock
from orchestrator.core.model import AgentState, Armed, Facts
from orchestrator.core.orders import Context, HostPaths
from orchestrator.core.settings import Deadlines
from orchestrator.core.state import RunState, replay
from orchestrator.inspection import Inspection
from orchestrator.journal.place import JournalPlace
from orchestrator.lab.lab import Lab, LabThread
from orchestrator.lab.scenario import Scenario
from tests.crash.controller import Controller, Order, Point
from tests.crash.scenes import CLUSTER, QUICK, Deed, End, Scene, State

if TYPE_CHECKING:
    from mypy_boto3_ssm.type_defs import ParameterTypeDef

MOST_LIVES = 4
"""Controllers that it may take to bring a run to its end after the first was killed."""

OLD_REGISTRY = "registry.example.com"
_LOCK = f"/ecs-rollout/{CLUSTER}/lock"
_PAYLOAD = f"/ecs-rollout/{CLUSTER}/payload"


@dataclass
class Site:
    """One lab, one story, one journal. `machine`: the home of whoever works now; a journal in DynamoDB is shared."""

    lab: Lab
    scene: Scene
    state: State
    folder: Path
    machine: int = 1
    before: dict[str, bytes] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def start(self, *words: str, point: Point | None = None, number: signal.Signals = signal.SIGKILL) -> Controller:
        """Start a controller on the machine that works now."""
        home = self.folder / f"machine-{self.machine}"
        home.mkdir(exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **self.lab.exports(),
        }
        place = self.folder / f"controller-{next(self.numbers)}"
        return Controller.start(
            Order(
                arguments=(*words, *self.state.words),
                environment=environment,
                folder=place,
                point=point,
                number=number,
            )
        )

    def journal(self) -> JournalPlace:
        """Name the journal, as this process reads it."""
        home = self.folder / f"machine-{self.machine}"
        if self.state is State.DYNAMODB:
            return JournalPlace(table="rollouts", region=self.lab.scenario.region)
        return JournalPlace(path=home / "state" / "ecs-rollout" / "journal.db")

    def runs(self) -> list[RunState]:
        """Fold every run, newest first."""
        with store.opened(self.journal(), read_only=True) as journal:
            return [replay(journal.entries(head.run)) for head in journal.runs()]

    def lose_machine(self) -> None:
        """Let another machine go on: a journal of this one would be lost, so it is kept to the shared one."""
        if self.state is State.DYNAMODB:
            self.machine += 1

    def lose_journal(self) -> None:
        """Let a machine go on that knows nothing."""
        self.machine += 1

    def age_lock(self) -> None:
        """Let the last owner be dead for long: whoever takes over need not wait until nothing of it can begin."""
        ssm = boto3.client("ssm")
        newest = newest_lock()
        if newest is not None:
            owner = json.loads(newest["Value"]) | {"heartbeat": 0.0}
            ssm.put_parameter(Name=newest["Name"], Value=json.dumps(owner), Type="String", Overwrite=True)

    def holds(self, controller: Controller) -> bool:
        """Say whether a controller holds the cluster, with a run that has not ended."""
        newest = newest_lock()
        owner = json.loads(newest["Value"]) if newest else {"holder": "", "run": ""}
        ended = any(each.run.run == owner["run"] and each.ended is not None for each in self.runs())
        return f"(pid {controller.process.pid})" in owner["holder"] and not ended

    def applied(self) -> Counter[str]:
        """Count the SendCommands of apply that the lab has accepted, by instance."""
        sent = [json.loads(each.body) for each in self.lab.recorder.of("SendCommand") if each.status in {0, 200}]
        names = [name for each in sent if each["DocumentName"].endswith("-apply") for name in each["InstanceIds"]]
        return Counter(names)

    def touched(self) -> dict[str, tuple[bytes, int]]:
        """Give what a change would change: each instance's env file, and how often its agent was started."""
        return {name: (host.config_file.read_bytes(), host.agent.starts) for name, host in self.lab.hosts.items()}

    def quiet(self) -> None:
        """Wait until no command is under way on any instance."""
        ssm, clock = boto3.client("ssm"), SystemClock()
        while any(each["Status"] in {"Pending", "InProgress"} for each in ssm.list_commands()["Commands"]):
            clock.wait(0.2)

    def entries(self) -> dict[str, int]:
        """Count each run's entries."""
        with store.opened(self.journal(), read_only=True) as journal:
            return {head.run: head.seq for head in journal.runs()}

    def look(self) -> dict[str, Facts]:
        """Inspect everybody, with the document that a plan sends."""
        session, clock = Session(region=None, profile=None), SystemClock()
        pins = compose.documents(region=None, profile=None, prefix="ecs-rollout").pins()
        commands = SsmCommands(client=session.ssm(), once=session.ssm_once(), pins=pins, clock=clock)
        context = Context(run="check", cluster=CLUSTER, fence=0, deadlines=Deadlines(), paths=HostPaths())
        looks = Inspection(commands=commands, clock=clock, context=context, every=0.2).look(self.lab.hosts)
        return {name: look for name, look in looks.items() if isinstance(look, Facts)}


@contextmanager
def site(scene: Scene, state: State) -> Iterator[Site]:
    """Start a lab with documents, secret and, where it is shared, the journal's table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crash-")))
        lab = stack.enter_context(LabThread(Lab(Scenario(instances=scene.fleet), folder / "instances")))
        stack.enter_context(_environment(lab, folder))
        compose.documents(region=None, profile=None, prefix="ecs-rollout").publish()
        login = {lab.registry_name: {"username": "puller", "password": "new-password"}}
        boto3.client("secretsmanager").create_secret(Name="registry", SecretString=json.dumps(login))
        found = Site(lab, scene, state, folder)
        found.before = {name: host.config_file.read_bytes() for name, host in lab.hosts.items()}
        if state is State.DYNAMODB:
            store.table_of(found.journal()).make()
        scene.trouble(lab)
        yield found


@contextmanager
def _environment(lab: Lab, folder: Path) -> Iterator[None]:
    """Point this process's own clients at the lab, too."""
    kept = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(lab.exports(), AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    os.environ["XDG_STATE_HOME"] = str(folder / "nobody")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def first_words(here: Site) -> tuple[str, ...]:
    """Do what the story begins with; give the command whose controller is to be killed."""
    scene = here.scene
    match scene.deed:
        case Deed.RUN:
            return scene.words
        case Deed.RESTORE:
            assert here.start(*scene.words).wait() == 0
            return ("restore", here.runs()[0].run.run, "--yes", *QUICK, *scene.flags)
        case Deed.RESUME:
            assert here.start(*scene.words, point=scene.dies_first).wait() == -9
            run = here.runs()[0].run.run
            here.lose_machine()
            return ("resume", run, "--take-over", "--output", "json")
        case Deed.TAKE_OVER:
            assert here.start(*scene.words, point=scene.dies_first).wait() == -9
            here.age_lock()
            here.lose_machine()
            return (*scene.words, "--take-over")
        case Deed.HEAL:
            assert here.start(*scene.words, point=scene.dies_first).wait() == -9
            here.age_lock()
            here.lose_journal()
            return ("heal", "--cluster", CLUSTER, "--yes", "--take-over", *QUICK)


def recover(here: Site) -> list[Controller]:
    """Go on after a kill as the README says, until nothing is left to do; give the controllers that did."""
    lives: list[Controller] = []
    here.lose_machine()
    while len(lives) < MOST_LIVES:
        words = _next_words(here, begun=bool(lives))
        if words is None:
            break
        life = here.start(*words)
        life.wait()
        lives.append(life)
    return lives


def _next_words(here: Site, *, begun: bool) -> tuple[str, ...] | None:
    """Say what somebody does who finds a dead controller: resume its run, or begin anew where there is none."""
    runs = here.runs()
    if runs and runs[0].ended is None:  # what is older was taken over
        return ("resume", runs[0].run.run, "--take-over", "--output", "json")
    if begun:
        return None
    match here.scene.deed:
        case Deed.HEAL:
            return ("heal", "--cluster", CLUSTER, "--yes", "--take-over", *QUICK)
        case Deed.RESTORE if not runs[0].run.restores:
            return ("restore", runs[0].run.run, "--yes", "--take-over", *QUICK, *here.scene.flags)
        case _ if not runs:
            return (*here.scene.words, "--take-over")
        case _:
            return ("resume", runs[0].run.run, "--take-over", "--output", "json")


def losses(here: Site) -> list[str]:
    """Say what was lost, in words; nothing where all is well."""
    return [
        *_standing(here),
        *_holding(here),
        *(f"{name}: apply was sent {count} times" for name, count in here.applied().items() if count > 1),
        *_left(),
        *_reported(here),
        *(f"the lab itself: {slip}" for slip in here.lab.slips),
    ]


def _standing(here: Site) -> Iterator[str]:
    ecs = boto3.client("ecs")
    arns = ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
    found = ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns, include=["TAGS"])
    seen: Counter[str] = Counter()
    for each in found["containerInstances"]:
        name = each["ec2InstanceId"]
        seen[name] += 1
        if each["status"] != "ACTIVE":
            yield f"{name} is {each['status']}"
        if any(one["name"].startswith("ecs-rollout") for one in each["attributes"]):
            yield f"{name} carries our mark"
    if seen != Counter(list(here.lab.hosts)):
        yield f"registrations: {dict(seen)}"


def _holding(here: Site) -> Iterator[str]:
    facts = here.look()
    for name, end in here.scene.ends.items():
        seen = facts.get(name)
        if seen is None:
            yield f"{name} cannot be inspected"
            continue
        if seen.armed is not Armed.NO or seen.agent is not AgentState.UP:
            yield f"{name} is half-changed: armed {seen.armed}, agent {seen.agent}"
        new = seen.agrees and here.lab.registry_name in seen.registries
        same = here.lab.hosts[name].config_file.read_bytes() == here.before[name]
        old = same and OLD_REGISTRY in seen.registries
        holds = End.NEW if new and not old else End.OLD if old and not new else None
        if holds is None or end not in {holds, End.EITHER}:
            yield f"{name} holds {holds or 'neither whole'}, {end} was wanted"


def _parameters(path: str) -> "list[ParameterTypeDef]":
    pages = boto3.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=path)
    return [each for page in pages for each in page["Parameters"]]


def newest_lock() -> "ParameterTypeDef | None":
    """Give the lock's parameter that counts."""
    return max(_parameters(_LOCK), key=lambda each: int(each["Name"].rsplit("/", 1)[1]), default=None)


def _left() -> Iterator[str]:
    yield from (f"{each['Name']} was left" for each in _parameters(_PAYLOAD))
    newest = newest_lock()
    if newest is not None and not json.loads(newest["Value"])["released"]:
        yield f"{newest['Name']} was not released"


def _reported(here: Site) -> Iterator[str]:
    """Everybody is in the newest report of each run, with an outcome; of one that was taken over, in the new one's."""
    newest, *older = here.runs()
    taken_over = here.scene.deed is Deed.TAKE_OVER
    for state in (newest, *(each for each in older if each.ended or not taken_over)):
        names = {each.planned.instance.instance_id for each in state.instances.values()}
        missing = sorted(set(here.lab.hosts) - names)
        if missing:
            yield f"the run {state.run.run} does not report {missing}"
        if state.ended is None or any(each.outcome is None for each in state.instances.values()):
            yield f"the run {state.run.run} has not ended"


def words_of(lives: Sequence[Controller]) -> str:
    """Give what the controllers said, for whoever has to find out what went wrong."""
    return "\n".join(f"$ {' '.join(each.order.arguments)}\n{each.said}" for each in lives)
