"""The printed policies are enough, and nothing in them is too much: the lab enforces them on whole commands."""

import json
import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from orchestrator.lab.lab import Lab, LabThread
from orchestrator.lab.scenario import AfterRestart, InstanceSpec, Scenario
from tests.scenario.conftest import Answer, Workplace
from tests.scenario.iam_cases import CASES, Case, Permission
from tests.scenario.iam_steps import (
    CROWDED,
    DEAD,
    HEALTHY,
    KEY,
    STATELESS,
    STATELESS_TOO,
    largest_lock,
    payloads,
    renew,
    tidy,
)

Policy = dict[str, Any]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    many = {f"registry-{number:03}.example.com": {"auth": "YTpi"} for number in range(120)}
    quick = (0.02, 0.05)
    specs = (
        InstanceSpec(instance_id=HEALTHY, name="healthy", restart_seconds=quick),
        InstanceSpec(instance_id=CROWDED, name="crowded", auth_data=json.dumps(many)),
        InstanceSpec(instance_id=DEAD, name="dead", after_restart=AfterRestart.STAYS_DOWN, restart_seconds=quick),
        InstanceSpec(instance_id="i-00000000000000004", name="managed", managed_instances=True),
        *(
            InstanceSpec(instance_id=each, persistent=False, restart_seconds=quick)
            for each in (STATELESS, STATELESS_TOO)
        ),
    )
    with LabThread(
        Lab(Scenario(instances=specs, scaling_groups=("web", "old")), tmp_path_factory.mktemp("lab"))
    ) as lab:
        yield lab


@pytest.fixture
def place(
    lab: Lab, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Workplace]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in lab.exports().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place = Workplace(lab, tmp_path, capsys)
    if not any(each["Name"] == "registry" for each in boto3.client("secretsmanager").list_secrets()["SecretList"]):
        place.put_secret()
        assert place.cli("documents", "publish").code == 0
    renew(place)
    yield place
    lift(place)
    tidy()


def lift(place: Workplace) -> None:
    place.lab.access.enforce(None)
    place.lab.access.enforce_instances(None)
    place.lab.access.refusals.clear()


_PRINTED: dict[tuple[str, ...], str] = {}


def printed(place: Workplace, *terms: str) -> Policy:
    """What `iam` prints for the lab's cluster; the same terms are printed once."""
    if terms not in _PRINTED:
        answer = place.cli("iam", *terms, "--cluster", "demo", "--account", place.lab.scenario.account)
        assert answer.code == 0, answer.err
        _PRINTED[terms] = answer.out
    policy: Policy = json.loads(_PRINTED[terms])
    return policy


def policies(place: Workplace, case: Case) -> tuple[Policy, Policy]:
    """The caller's policy and the instances'."""
    return printed(place, case.policy, *case.terms), printed(place, "instance", *case.delivery)


def many(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def without(policy: Policy, permission: Permission) -> Policy:
    """The policy, its statement `sid` without the action; AWS takes no statement without actions."""
    sid, action = permission
    statements = []
    for each in policy["Statement"]:
        left = [other for other in many(each["Action"]) if (each["Sid"], other) != (sid, action)]
        statements += [{**each, "Action": left}] if left else []
    assert statements != policy["Statement"], f"{permission} is not in the policy"
    return {**policy, "Statement": statements}


def permissions(policy: Policy) -> set[tuple[str, str]]:
    """Every action, with all that its statement narrows it by: two policies may share a statement."""
    return {
        (action, json.dumps({key: value for key, value in each.items() if key != "Action"}))
        for each in policy["Statement"]
        for action in many(each["Action"])
    }


def act(place: Workplace, case: Case, caller: Policy, instance: Policy) -> Answer:
    """Carry the scenario out under these policies."""
    case.prepare(place)
    place.lab.access.enforce(caller)
    place.lab.access.enforce_instances(instance)
    return case.act(place)


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_printed_policies_are_enough(place: Workplace, name: str) -> None:
    """Each scenario comes to its end under exactly the printed policies, and nothing is denied on the way."""
    case = CASES[name]
    answer = act(place, case, *policies(place, case))
    assert answer.code == case.code, answer.err
    assert place.lab.access.refusals == []
    assert "Not allowed" not in answer.err
    if {"run", "resume"} & set(name.split()):
        assert answer.outcomes[HEALTHY] == "updated(verified)"
    if "drain" in name.split():
        ends = {answer.outcomes[each] for each in (STATELESS, STATELESS_TOO)}
        assert ends == {"updated(verified)" if name == "drain" else "refused(drain_timed_out)"}
    if name == "restore":
        assert answer.outcomes[HEALTHY] == "rolled_back(restored)"


ERRORS = [(name, each) for name, case in CASES.items() for each in case.errors]
WARNINGS = [(name, each) for name, case in CASES.items() for each in case.warnings]
SWEEPS = [(name, each) for name, case in CASES.items() for each in case.sweeps]
DOUBTS = [(name, each) for name, case in CASES.items() for each in case.doubts]
HALTS = [(name, each) for name, case in CASES.items() for each in case.halts]
REFUSALS = [(name, each) for name, case in CASES.items() for each in case.refusals]


def titled(table: list[tuple[str, Permission]]) -> list[Any]:
    return [pytest.param(*each, id=f"{each[0]}, {each[1][0]} {each[1][1]}") for each in table]


@pytest.mark.parametrize(("name", "permission"), titled(ERRORS))
def test_without_it_the_scenario_ends_with_an_error(place: Workplace, name: str, permission: Permission) -> None:
    """Without the permission the command ends with one error that names the action; nothing was touched or kept."""
    case = CASES[name]
    caller, instance = policies(place, case)
    starts = {key: host.agent.starts for key, host in place.lab.hosts.items()}
    answer = act(place, case, without(caller, permission), instance)
    assert answer.code == 4, answer.err
    errors = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, answer.err
    assert errors[0].startswith("error: Not allowed: ")
    assert permission[1] in errors[0]
    assert "Traceback" not in answer.err
    assert {key: host.agent.starts for key, host in place.lab.hosts.items()} == starts
    lift(place)
    owner = largest_lock()[1]
    # What a resume had taken over was begun: its lock stays until somebody has seen its end.
    resumes = name.startswith("resume")
    assert owner.get("released", True) or owner["run"] == "gone" or resumes


@pytest.mark.parametrize(("name", "permission"), titled(WARNINGS))
def test_without_it_the_scenario_warns(place: Workplace, name: str, permission: Permission) -> None:
    """Where the action only tidies up, the run ends as it would, reports, and warns with the action's name."""
    case = CASES[name]
    caller, instance = policies(place, case)
    answer = act(place, case, without(caller, permission), instance)
    assert answer.code == 0, answer.err
    assert answer.outcomes[HEALTHY] == "updated(verified)"
    warnings = [line for line in answer.err.splitlines() if line.startswith("warning: ") and permission[1] in line]
    # Who is told at the start and at the end is missed twice.
    assert len(warnings) == (2 if "the notice 'ended'" in answer.err else 1), answer.err


@pytest.mark.parametrize(("name", "permission"), titled(SWEEPS))
def test_without_it_healing_warns(place: Workplace, name: str, permission: Permission) -> None:
    """Healing mends the instances all the same, and one warning names the action with which it finds copies."""
    case = CASES[name]
    caller, instance = policies(place, case)
    assert "warning" not in act(place, case, caller, instance).err.replace("warning: the credential is", "")
    place.lab.access.enforce(without(caller, permission))
    answer = case.act(place)
    assert answer.code == 0, answer.err
    assert answer.err.count(f"Not allowed: {permission[1]}") == 1, answer.err


@pytest.mark.parametrize(("name", "permission"), titled(DOUBTS))
def test_without_it_something_stays_unknown(place: Workplace, name: str, permission: Permission) -> None:
    """Where the action only looks around, the command ends well, and a doubt names the action."""
    case = CASES[name]
    caller, instance = policies(place, case)
    answer = act(place, case, without(caller, permission), instance)
    assert answer.code == 0, answer.err
    seen = [each["seen"] for each in answer.report["doubts"] if each["doubt"] == "boot_unread"]
    assert seen == [f"Not allowed: {permission[1]}."]


@pytest.mark.parametrize(("name", "permission"), titled(HALTS))
def test_without_it_the_run_halts(place: Workplace, name: str, permission: Permission) -> None:
    """Where it is found out under way, the run halts or breaks off with the action's name."""
    case = CASES[name]
    caller, instance = policies(place, case)
    answer = act(place, case, without(caller, permission), instance)
    assert answer.code in {1, 4}, answer.err
    assert f"Not allowed: {permission[1]}" in answer.err


@pytest.mark.parametrize(("name", "permission"), titled(REFUSALS))
def test_without_it_the_instance_refuses(place: Workplace, name: str, permission: Permission) -> None:
    """Without the instances' permission nothing is changed there, and the report names the action."""
    case = CASES[name]
    caller, instance = policies(place, case)
    starts = place.lab.hosts[HEALTHY].agent.starts
    answer = act(place, case, caller, without(instance, permission))
    assert answer.code == 1, answer.err
    row = next(each for each in answer.report["instances"] if each["instance_id"] == HEALTHY)
    assert (row["outcome"], row["reason"]) == ("failed", "payload_denied")
    assert permission[1] in row["message"]
    assert place.lab.hosts[HEALTHY].agent.starts == starts


def test_no_permission_is_without_its_scenario(place: Workplace) -> None:
    """Every action in every statement that any scenario's policies print is needed by a scenario that names it."""
    for which in ("controller", "publisher", "instance"):
        given: set[tuple[str, str]] = set()
        needed: set[tuple[str, str]] = set()
        for case in CASES.values():
            caller, instance = policies(place, case)
            policy = instance if which == "instance" else caller
            if which not in {case.policy, "instance"}:
                continue
            named = case.refusals if which == "instance" else case.of_the_caller
            given |= permissions(policy)
            for each in named:
                needed |= permissions(policy) - permissions(without(policy, each))
        assert given - needed == set()


def test_a_run_that_fails_and_halts_needs_nothing_more(place: Workplace) -> None:
    """A canary that is rolled back and the halt after it are within the printed policies."""
    renew(place)
    place.lab.access.enforce(printed(place, "controller", "--credential", "secretsmanager:registry"))
    place.lab.access.enforce_instances(printed(place, "instance"))
    flags = (f"--instance={DEAD}", f"--instance={HEALTHY}", "--verify-seconds=2", "--output", "json")
    answer = place.rollout("run", *flags)
    assert answer.code == 1, answer.err
    assert answer.outcomes[DEAD] == "rolled_back(agent_did_not_return)"
    assert place.lab.access.refusals == []


@pytest.mark.parametrize(("name", "document"), [("run", "apply"), ("restore", "restore")])
def test_each_document_is_needed(place: Workplace, name: str, document: str) -> None:
    """Who may look but not change: the run halts with the action's name, the delivery is gone and the lock is free."""
    case = CASES[name]
    caller, instance = policies(place, case)
    for each in caller["Statement"]:
        if each["Sid"] == "SendOurDocuments":
            each["Resource"] = [arn for arn in each["Resource"] if not arn.endswith(f"-{document}")]
    answer = act(place, case, caller, instance)
    assert answer.code == 1, answer.err
    assert answer.outcomes[HEALTHY] == "not_attempted(halted)"
    assert "Not allowed: ssm:SendCommand" in answer.err
    lift(place)
    assert largest_lock()[1]["released"] is True
    assert payloads() == []


@pytest.mark.parametrize("ours", [True, False])
def test_the_key_policy_decides_who_reads(place: Workplace, ours: bool) -> None:  # noqa: FBT001 - pytest's parameter
    """Under the printed key policy this cluster's role can read its payload, another role cannot, whatever IAM says."""
    renew(place)
    access = place.lab.access
    role = access.instance_role if ours else "arn:aws:iam::123456789012:role/of-another-cluster"
    roles = ("--controller-role", access.controller_role, "--instance-role", role)
    key = KEY.replace("1111", "2222" if ours else "3333")
    access.protect(key, printed(place, "key", "--kms-key", key, *roles))
    answer = place.rollout("run", f"--instance={HEALTHY}", "--kms-key", key, "--output", "json")
    expected = "updated(verified)" if ours else "failed(payload_denied)"
    assert answer.outcomes[HEALTHY] == expected, answer.err


def test_policies_are_for_one_cluster(place: Workplace) -> None:
    """The policy of another cluster lets nothing be done with this one."""
    answer = place.cli("iam", "controller", "--cluster", "other", "--credential", "secretsmanager:registry")
    place.lab.access.enforce(answer.report)
    denied = place.rollout("plan")
    assert denied.code == 4
    assert "Not allowed: ecs:DescribeClusters" in denied.err
