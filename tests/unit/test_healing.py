"""Where copies of a credential are looked for, and what is said of what was seen there."""

from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.aws.owner import Predecessor
from orchestrator.cli import loading
from orchestrator.core.model import Plan
from orchestrator.core.payload import Depot, Store
from orchestrator.report.estimates import Places
from orchestrator.report.plans import Wish
from orchestrator.report.remnants import Copies, Remnants, remnants_text

OURS = Depot(Store.SSM)
SECRETS = Depot(Store.SECRETSMANAGER)
BUCKET = Depot(Store.S3, "payloads")


@pytest.mark.parametrize("depot", [OURS, SECRETS, BUCKET])
def test_a_depot_is_read_as_it_was_written(depot: Depot) -> None:
    """The lock keeps it as text; a word that this version does not know names none."""
    assert Depot.read(str(depot)) == depot
    assert (Depot.read(""), Depot.read("vault:x")) == (None, None)


def test_copies_are_looked_for_wherever_a_run_delivered_them() -> None:
    """Each depot once, our own first; it also stands for what an older version's lock does not tell."""
    parts: Any = SimpleNamespace(request=SimpleNamespace(depot=OURS))
    others = [Predecessor(run=str(each), since=0.0, delivery=text) for each, text in enumerate(DELIVERIES)]
    assert loading.depots(parts, others) == (OURS, BUCKET, SECRETS)


DELIVERIES = ("", "s3:payloads", "secretsmanager", "s3:payloads", "ssm")


@pytest.mark.parametrize(
    ("copies", "says"),
    [
        (
            (Copies(place=OURS.words), Copies(place=BUCKET.words)),
            "Delivered copies of a credential: none in Parameter Store and the bucket payloads; --delivery",
        ),
        (
            (Copies(place=OURS.words), Copies(place=SECRETS.words, names=("/p/run-1",))),
            "delivered copy to be removed from Secrets Manager: /p/run-1",
        ),
        (
            (Copies(place=OURS.words), Copies(place=SECRETS.words, unseen="Not allowed: x.")),
            "Delivered copies of a credential in Secrets Manager: not seen. Not allowed: x.",
        ),
    ],
)
def test_it_is_said_in_which_store_copies_were_looked_for(copies: tuple[Copies, ...], says: str) -> None:
    """None is said of the stores that were seen alone, and nothing is said to be left only where all of them were."""
    plan = Plan(cluster="c", generation="", planned=())
    wish = Wish(words="", credential=None, places=Places(window=1), next_command=("ecs-rollout", "heal"))
    text = remnants_text(plan, wish, Remnants(copies=copies, lock="", alive=False))
    assert says in " ".join(text.split())
    assert ("Next: nothing" in text) == ("none in" in says)
