"""What Run Command asks of a host, and its view of the fleet (DescribeInstanceInformation, F71)."""

from collections.abc import Mapping
from typing import Any, Protocol

from orchestrator.lab.paging import paged
from orchestrator.lab.processes import ScriptJob, ScriptResult
from orchestrator.lab.scenario import InstanceSpec, Platform, Ssm
from orchestrator.lab.wire import AwsError, Clock

_PAGE = 10
_LOST_FOR = 3600.0


class ManagedHost(Protocol):
    """A machine with an SSM agent on it."""

    @property
    def spec(self) -> InstanceSpec:
        """What the scenario says of it."""
        ...

    @property
    def ping_status(self) -> Ssm:
        """What SSM knows of its agent."""
        ...

    def rebase(self, definitions: Mapping[str, Mapping[str, Any]], values: Mapping[str, str]) -> Mapping[str, str]:
        """Move a document's paths and URLs to this host's own."""
        ...

    async def execute(self, job: ScriptJob) -> ScriptResult:
        """Run one step's script to its end, timeout or cancellation; HostLostError when nobody will ever say."""
        ...


PING_STATUS = {
    Ssm.ONLINE: "Online",
    Ssm.CONNECTION_LOST: "ConnectionLost",
    Ssm.INACTIVE: "Inactive",
}


def is_registered(host: ManagedHost) -> bool:
    """Say whether SSM has heard of the host at all."""
    return host.ping_status is not Ssm.UNREGISTERED


def platform_type(spec: InstanceSpec) -> str:
    """Name the platform as SSM does."""
    return "Windows" if spec.platform is Platform.WINDOWS else "Linux"


def tags_of(spec: InstanceSpec) -> Mapping[str, str]:
    """Return the EC2 tags that SendCommand's Targets can name."""
    return {"Name": spec.name} if spec.name else {}


class Inventory:
    """The engine for DescribeInstanceInformation."""

    OPERATIONS = frozenset({"DescribeInstanceInformation"})

    def __init__(self, hosts: Mapping[str, ManagedHost], clock: Clock) -> None:
        self._hosts = hosts
        self._clock = clock
        self._registered = clock.now()

    async def handle(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Answer one page of the managed instances, unregistered ones left out."""
        if operation not in self.OPERATIONS:
            raise AwsError("UnknownOperationException", operation)
        if params.get("Filters") and params.get("InstanceInformationFilterList"):
            message = "Filters and InstanceInformationFilterList can't be given together."
            raise AwsError("ValidationException", message)
        rows = [self._row(host) for host in self._hosts.values() if is_registered(host)]
        for entry in params.get("Filters") or ():
            rows = _keep(rows, entry["Key"], entry["Values"])
        for entry in params.get("InstanceInformationFilterList") or ():
            rows = _keep(rows, entry["key"], entry["valueSet"])
        chunk, token = paged(rows, params, _PAGE)
        shown = [{key: value for key, value in row.items() if key != _TAGS} for row in chunk]
        return {"InstanceInformationList": shown} | token

    def _row(self, host: ManagedHost) -> dict[str, Any]:
        spec = host.spec
        now = self._clock.now()
        windows = platform_type(spec) == "Windows"
        names = {Platform.WINDOWS: "Microsoft Windows Server 2022", Platform.BOTTLEROCKET: "Bottlerocket"}
        return {
            "InstanceId": spec.instance_id,
            "PingStatus": PING_STATUS[host.ping_status],
            "LastPingDateTime": now if host.ping_status is Ssm.ONLINE else now - _LOST_FOR,
            "AgentVersion": spec.ssm_agent_version,
            "IsLatestVersion": False,
            "PlatformType": "Windows" if windows else "Linux",
            "PlatformName": names.get(spec.platform, "Amazon Linux"),
            "PlatformVersion": "10.0.20348" if windows else "2023",
            "ResourceType": "ManagedInstance" if spec.instance_id.startswith("mi-") else "EC2Instance",
            "IPAddress": "127.0.0.1",
            "ComputerName": f"{spec.instance_id}.internal",
            "SourceId": spec.instance_id,
            "SourceType": "AWS::EC2::Instance",
            _TAGS: tags_of(spec),
        }


_TAGS = "tags"
_FIELDS = {
    "InstanceIds": "InstanceId",
    "AgentVersion": "AgentVersion",
    "PingStatus": "PingStatus",
    "PlatformTypes": "PlatformType",
    "ResourceType": "ResourceType",
}
_NEVER_SET = frozenset({"ActivationIds", "IamRole", "AssociationStatus"})


def _keep(rows: list[dict[str, Any]], key: str, values: list[str]) -> list[dict[str, Any]]:
    if key == "PingStatus" and not set(PING_STATUS.values()).issuperset(values):
        known = ", ".join(PING_STATUS.values())
        raise AwsError("InvalidInstanceInformationFilterValue", f"PingStatus is one of {known}.")
    if key == "tag-key":
        return [row for row in rows if set(values) & set(row[_TAGS])]
    if key.startswith("tag:"):
        return [row for row in rows if row[_TAGS].get(key.removeprefix("tag:")) in values]
    if key in _NEVER_SET:
        return []
    if key not in _FIELDS:
        raise AwsError("InvalidFilterKey", f"The filter key {key} is not valid.")
    return [row for row in rows if row[_FIELDS[key]] in values]
