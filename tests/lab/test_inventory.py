"""SSM inventory shows whom it knows, in pages, filtered (F71)."""

from orchestrator.lab.faults import ApiFaults
from orchestrator.lab.scenario import InstanceSpec, Platform, Ssm
from tests.lab.bench import Bench, bench, instance_id, refused


def test_inventory_comes_in_pages_of_five_to_fifty() -> None:
    """Ten by default; fewer than five may not be asked for (F71)."""
    with bench(23) as lab:
        first = lab.ssm_client.describe_instance_information()
        assert len(first["InstanceInformationList"]) == 10
        pages = lab.ssm_client.get_paginator("describe_instance_information").paginate(MaxResults=5)
        rows = [row["InstanceId"] for page in pages for row in page["InstanceInformationList"]]
        assert rows == [instance_id(number) for number in range(23)]
        for size in (4, 51):
            with refused("ValidationException"):
                lab.client("ssm", validate=False).describe_instance_information(MaxResults=size)
        with refused("InvalidNextToken"):
            lab.ssm_client.describe_instance_information(NextToken="x")


def test_inventory_tells_who_is_online_and_omits_whom_it_never_met() -> None:
    """PingStatus is Online, ConnectionLost or Inactive (F71)."""
    with bench(4, i1=Ssm.CONNECTION_LOST, i2=Ssm.INACTIVE, i3=Ssm.UNREGISTERED) as lab:
        rows = lab.ssm_client.describe_instance_information()["InstanceInformationList"]
        assert [row["PingStatus"] for row in rows] == ["Online", "ConnectionLost", "Inactive"]
        assert rows[1]["LastPingDateTime"] < rows[0]["LastPingDateTime"]


def test_inventory_is_filtered() -> None:
    """Both generations of filters work; an unknown key or ping status is refused."""
    specs = (
        InstanceSpec(instance_id=instance_id(0), name="a"),
        InstanceSpec(instance_id=instance_id(1), name="b", ssm=Ssm.CONNECTION_LOST),
        InstanceSpec(instance_id=instance_id(2), platform=Platform.WINDOWS),
    )
    with Bench(specs, ApiFaults()) as lab:

        def found(key: str, *values: str) -> list[int]:
            reply = lab.ssm_client.describe_instance_information(Filters=[{"Key": key, "Values": list(values)}])
            return [int(row["InstanceId"].removeprefix("i-"), base=16) for row in reply["InstanceInformationList"]]

        assert found("InstanceIds", instance_id(0), "i-0dead0dead0dead00") == [0]
        assert found("PingStatus", "ConnectionLost") == [1]
        assert found("PlatformTypes", "Windows") == [2]
        assert found("tag:Name", "a", "b") == [0, 1]
        assert found("tag-key", "Name") == [0, 1]
        assert found("ActivationIds", "x") == []
        with refused("InvalidInstanceInformationFilterValue"):
            found("PingStatus", "Asleep")
        with refused("InvalidFilterKey"):
            found("Colour", "red")
        old = lab.ssm_client.describe_instance_information(
            InstanceInformationFilterList=[{"key": "PingStatus", "valueSet": ["Online"]}]
        )
        assert len(old["InstanceInformationList"]) == 2
