"""The API's moods: throttles, cuts, planned failures; seeded, so that every run is the same."""

import pytest
from botocore.exceptions import ConnectionClosedError

from orchestrator.lab.faults import ApiFaults, Cut, Faults, Rate
from orchestrator.lab.wire import AwsError
from tests.lab.bench import Bench, ManualClock, bench, instance_id, refused


def test_a_burst_passes_and_then_the_rate_rules() -> None:
    """Beyond the burst each call is throttled until time has brought a token (F76)."""
    with bench(1, plan=ApiFaults(throttle={"ListCommands": Rate(rate=2, burst=3)})) as lab:
        for _ in range(3):
            lab.ssm_client.list_commands()
        with refused("ThrottlingException", saying="Rate exceeded"):
            lab.ssm_client.list_commands()
        lab.ssm_client.list_command_invocations()
        lab.advance(0.5)
        lab.ssm_client.list_commands()
        with refused("ThrottlingException"):
            lab.ssm_client.list_commands()


def test_a_throttled_send_sends_nothing() -> None:
    """Only the throttled call may be repeated without a thought (F70)."""
    with bench(1, plan=ApiFaults(throttle={"SendCommand": Rate(rate=1, burst=0)})) as lab:
        with refused("ThrottlingException"):
            lab.send()
        assert lab.ssm_client.list_commands()["Commands"] == []


def test_the_kth_call_fails_as_planned() -> None:
    """A test chooses operation, call, error and how often, counted from now; moto's operations too."""
    with bench(1) as lab:
        lab.ssm_client.list_commands()
        lab.faults.fail("ListCommands", AwsError("InternalServerError", "sorry", status=500), call=2, times=2)
        lab.ssm_client.list_commands()
        for _ in range(2):
            with refused("InternalServerError", saying="sorry"):
                lab.ssm_client.list_commands()
        lab.ssm_client.list_commands()
        lab.faults.fail("GetSecretValue", AwsError("DecryptionFailure"))
        with refused("DecryptionFailure"):
            lab.client("secretsmanager").get_secret_value(SecretId="x")


def sends(lab: Bench) -> int:
    lab.advance(1)
    return len(lab.ssm_client.list_commands()["Commands"])


def test_a_lost_answer_leaves_the_command_running() -> None:
    """The connection breaks after SendCommand was accepted: the caller cannot know, the script runs (F70)."""
    with bench(1) as lab:
        lab.faults.cut("SendCommand")
        with pytest.raises(ConnectionClosedError):
            lab.send()
        assert sends(lab) == 1
        assert len(lab.hosts[instance_id(0)].jobs) == 1
        (cut,) = lab.server.recorder.of("SendCommand")
        assert (cut.status, b"CommandId" in cut.response_body) == (0, True)


def test_a_lost_request_leaves_nothing() -> None:
    """The same error, and nothing happened."""
    with bench(1) as lab:
        lab.faults.cut("SendCommand", where=Cut.BEFORE)
        with pytest.raises(ConnectionClosedError):
            lab.send()
        assert sends(lab) == 0


def test_a_transport_retry_of_send_command_is_a_second_command() -> None:
    """There is no idempotency token: botocore's own retry sends twice (F70)."""
    with bench(1) as lab:
        lab.faults.cut("SendCommand")
        lab.client("ssm", retries=2).send_command(
            InstanceIds=[instance_id(0)], DocumentName="AWS-RunShellScript", Parameters={"commands": ["true"]}
        )
        assert sends(lab) == 2


def test_a_share_of_answers_is_lost_by_the_seed() -> None:
    """The scenario may lose a share of SendCommand's answers."""
    with bench(1, plan=ApiFaults(cut_connections=1.0)) as lab:
        with pytest.raises(ConnectionClosedError):
            lab.send()
        assert sends(lab) == 1


def test_an_instance_that_is_spared_is_reached() -> None:
    """Whoever was unreachable, or lost his results, is treated as everybody from then on."""
    plan = ApiFaults(undeliverable=frozenset({"i-1"}), lost_results_of=frozenset({"i-1", "i-2"}))
    faults = Faults(plan, ManualClock())
    faults.spare("i-1")
    assert (faults.undeliverable, faults.loses_result("i-1", 1), faults.loses_result("i-2", 1)) == (set(), False, True)


def test_a_held_call_waits() -> None:
    """A planned delay holds the call itself."""
    clock = ManualClock()
    faults = Faults(ApiFaults(), clock)
    faults.hold("ListCommands", 3.0, call=2)
    assert [faults.verdict("ListCommands").delay for _ in range(3)] == [0.0, 3.0, 0.0]


def test_chance_depends_on_the_seed_and_on_nothing_else() -> None:
    """Draws are the same in any order, differ between instances, and change with the seed."""
    plan = ApiFaults(seed=1, lost_results=0.5, result_delay=(0.0, 9.0), list_lag=(1.0, 2.0))
    pairs = [(f"i-{number}", ordinal) for number in range(40) for ordinal in (1, 2)]

    def lost(plan: ApiFaults, order: int) -> dict[tuple[str, int], tuple[bool, float]]:
        faults = Faults(plan, ManualClock())
        return {pair: (faults.loses_result(*pair), faults.result_delay(*pair)) for pair in pairs[::order]}

    forward = lost(plan, 1)
    assert forward == lost(plan, -1)
    assert forward != lost(ApiFaults(seed=2, lost_results=0.5, result_delay=(0.0, 9.0)), 1)
    assert 20 < sum(gone for gone, _ in forward.values()) < 60
    assert all(0.0 <= delay <= 9.0 for _, delay in forward.values())
    assert 1.0 <= Faults(plan, ManualClock()).list_lag(1) <= 2.0
