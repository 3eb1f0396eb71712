"""`ecs-rollout doctor` looks at everything, from what all needs to what needs all; no failure hides another."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.aws.documents import Documents, Pin
from orchestrator.aws.ecs import find_cluster
from orchestrator.aws.session import CredentialsFault, Session, UnreachableFault
from orchestrator.cli import compose, looks
from orchestrator.cli.compose import Request
from orchestrator.core.checkup import Check, documents_checks, failed, good, not_tried
from orchestrator.errors import RolloutError
from orchestrator.journal.place import JournalPlace
from orchestrator.ports import Clock

if TYPE_CHECKING:
    from orchestrator.core.credential_lint import Report
    from orchestrator.core.result import Op

_AWS = "aws"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be examined. `inspect`: instances are sent the inspect document, which only reads."""

    request: Request
    journal: JournalPlace
    inspect: bool = True


class Examination:
    """One examination. What an earlier look found is there for the later ones."""

    def __init__(self, wish: Wish, clock: Clock, say: Callable[[str], None]) -> None:
        self._wish = wish
        self._clock = clock
        self._say = say
        self._found: list[Check] = []
        self._out: dict[str, str] = {}
        self._session: Session | None = None
        self._cluster = ""
        self._pins: Mapping[Op, Pin] | None = None
        self._credential: Report | None = None

    def perform(self) -> tuple[Check, ...]:
        """Look at everything; give the checks in the order in which they were made."""
        self._try("region", (), self._find_region)
        if self._session is not None:
            self._at_aws(self._session)
        place = self._wish.journal
        self._try("journal", ("dynamodb",) if place.table else (), lambda: looks.journal(place))
        return tuple(self._found)

    def _at_aws(self, session: Session) -> None:
        request = self._wish.request
        self._try("credentials", ("sts",), lambda: looks.identity(session, self._clock))
        self._try("cluster", ("ecs",), lambda: self._find_cluster(session))
        self._try("documents", ("ssm",), lambda: self._find_documents(session))
        self._try("permissions", ("ssm",), lambda: looks.permissions(session))
        self._try("delivery", ("s3",) if request.delivery_bucket else (), lambda: looks.delivery(session, request))
        if request.credential:
            self._try("credential", _services_of(request.credential), lambda: self._find_credential(session))
            self._try("registry", (), lambda: looks.registries(request, self._credential))
        if self._cluster:
            self._in_cluster(
                looks.Place(session=session, request=request, clock=self._clock, cluster=self._cluster, say=self._say)
            )
        else:
            self._found += [not_tried(name, "the cluster is not known") for name in ("lock", "key", "instances")]

    def _in_cluster(self, place: looks.Place) -> None:
        self._try("lock", ("ssm",), lambda: looks.lock(place))
        self._try("key", ("ssm",), lambda: looks.key(place))
        if not self._wish.inspect:
            self._found.append(not_tried("inspection", "--no-inspect"))
        elif self._pins is None:
            self._found.append(not_tried("inspection", "the documents are not those of this version"))
        pins = self._pins if self._wish.inspect else None
        for source in self._wish.request.boot_configs:
            self._try("boot", ("s3",), partial(looks.boot, place, source, self._credential))
        self._try("instances", ("ecs", "ssm"), lambda: looks.instances(place, pins, self._credential))

    def _try(self, name: str, services: Sequence[str], look: Callable[[], Iterable[Check]]) -> None:
        """Look at one thing, unless a service that it asks is out already. An error is this thing's failure alone."""
        asked = (*services, _AWS) if services else ()
        why = next((self._out[each] for each in asked if each in self._out), None)
        if why is not None:
            self._found.append(not_tried(name, why))
            return
        try:
            for check in look():  # one by one: what came before an error stays
                self._found.append(check)
        except RolloutError as error:
            self._found.append(failed(name, error))
            if isinstance(error, CredentialsFault):
                self._out[_AWS] = "AWS does not know us"
            if isinstance(error, UnreachableFault):
                self._out[error.service] = f"{error.service} cannot be reached"

    def _find_region(self) -> Iterator[Check]:
        session = Session(region=self._wish.request.region, profile=self._wish.request.profile)
        partition = session.partition()
        self._session = session
        yield good("region", f"{session.region} (partition {partition}).")

    def _find_cluster(self, session: Session) -> Iterator[Check]:
        self._cluster = find_cluster(session.ecs(), self._wish.request.cluster).name
        yield good("cluster", f"{self._cluster} is active.")

    def _find_documents(self, session: Session) -> Iterator[Check]:
        prefix = self._wish.request.document_prefix
        documents = Documents(client=session.ssm(), prefix=prefix, texts=compose.rendered())
        states = documents.check()
        yield from documents_checks(states)
        if all(state == "unchanged" for _, state in states):
            self._pins = documents.pins()

    def _find_credential(self, session: Session) -> Iterable[Check]:
        self._credential, found = looks.read_credential(session, self._wish.request)
        return found


def _services_of(source: str) -> tuple[str, ...]:
    """Name the service that a source is read from; none for a file."""
    scheme = source.partition(":")[0]
    return (scheme,) if scheme in {"ssm", "secretsmanager", "s3"} else ()
