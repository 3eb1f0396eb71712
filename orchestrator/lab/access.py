"""Who may ask for what: every key that the lab handed out, by a policy that can be changed while the lab runs."""

from collections.abc import Mapping
from typing import Any

from orchestrator.lab.imds import ROLE, Credentials, credentials_of
from orchestrator.lab.messages import PlainRequest
from orchestrator.lab.needs import Call, Needs, Tags, call_of
from orchestrator.lab.permissions import Need, Permissions
from orchestrator.lab.signatures import Secret, access_key_of, signed_for, verify
from orchestrator.lab.wire import AwsError

ACCESS_KEY = "AKIALABLABLABLABLAB0"
SECRET_KEY = "lab-secret-access-key-that-opens-nothing"  # noqa: S105 - opens nothing
CONTROLLER_ROLE = "ecs-rollout"

# What a role with AmazonSSMManagedInstanceCore and read access to the other stores can do, as far as it is asked (F78).
_INSTANCE_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                *("ssm:GetParameter", "ssm:GetParameters", "secretsmanager:GetSecretValue"),
                *("s3:GetObject", "s3:GetObjectVersion", "kms:Decrypt"),
            ],
            "Resource": "*",
        }
    ],
}
_EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class Access:
    """The keys that the lab handed out. A key that it does not know is moto's, or anybody's, and passes unchecked.

    `denied` names instances whose role may read no payload; `refusals` are the actions that were denied so far, with
    who asked. `tags` gives the tags of an instance.
    """

    def __init__(self, *, account: str, seed: int, tags: Tags = lambda _instance_id: {}) -> None:
        self._account = account
        self._seed = seed
        self._secrets: dict[str, Secret] = {ACCESS_KEY: Secret(secret_access_key=SECRET_KEY)}
        self._instances: dict[str, str] = {}
        self._needs = Needs(account, tags)
        self._controller = Permissions(_EVERYTHING)
        self._role = Permissions(_INSTANCE_POLICY)
        self._keys: dict[str, Permissions] = {}
        self.denied: set[str] = set()
        self.refusals: list[tuple[str, str]] = []

    @property
    def instances(self) -> Mapping[str, str]:
        """Instance ids by the access key of their role."""
        return self._instances

    @property
    def controller_role(self) -> str:
        """The ARN of the role that stands behind the lab's own key."""
        return f"arn:aws:iam::{self._account}:role/{CONTROLLER_ROLE}"

    @property
    def instance_role(self) -> str:
        """The ARN of the instances' role."""
        return f"arn:aws:iam::{self._account}:role/{ROLE}"

    def enforce(self, policy: Mapping[str, Any] | None) -> None:
        """Let the lab's own key do what the policy allows; None: everything. ValueError for one not understood."""
        self._controller = Permissions(_EVERYTHING if policy is None else policy)

    def enforce_instances(self, policy: Mapping[str, Any] | None) -> None:
        """Let the instances' role do what the policy allows; None: what the lab's role can do at first."""
        self._role = Permissions(_INSTANCE_POLICY if policy is None else policy)

    def protect(self, key: str, policy: Mapping[str, Any]) -> None:
        """Give the KMS key (its ARN) a policy; one without leaves everything to the policies of the callers."""
        self._keys[key] = Permissions(policy)

    def admit(self, instance_id: str) -> Credentials:
        """Know the role credentials that the instance's metadata service hands out."""
        given = credentials_of(instance_id, self._seed)
        self._secrets[given.access_key_id] = Secret(secret_access_key=given.secret_access_key, token=given.token)
        self._instances[given.access_key_id] = instance_id
        return given

    def check(self, request: PlainRequest) -> None:
        """Raise AwsError for a wrong signature, and for a request that needs what its caller is not allowed."""
        key = access_key_of(request)
        secret = self._secrets.get(key)
        # A presigned URL carries its signature in the query; moto's business.
        if secret is None or "X-Amz-Signature=" in request.raw_path:
            return
        verify(request, secret)
        service, region = signed_for(request)
        call = call_of(request, service, region)
        instance_id = self._instances.get(key, "")
        for need in self._needs.of(call):
            if instance_id in self.denied or not self._allowed(need, instance_id):
                raise self._refusal(call, need, instance_id)
        self._needs.note(call)

    def _allowed(self, need: Need, instance_id: str) -> bool:
        identity = self._role if instance_id else self._controller
        key = self._keys.get(need.resource) if need.action.startswith("kms:") else None
        if key is None:
            return identity.allow(need)
        # A key's policy may allow a role by name, or leave it to the policies of the account's callers.
        named = key.allow(need, principal=self.instance_role if instance_id else self.controller_role)
        return named or (key.allow(need, principal=f"arn:aws:iam::{self._account}:root") and identity.allow(need))

    def _refusal(self, call: Call, need: Need, instance_id: str) -> AwsError:
        role, session = (ROLE, instance_id) if instance_id else (CONTROLLER_ROLE, "lab")
        self.refusals.append((session, need.action))
        if call.service == "secretsmanager" and need.action.startswith("kms:"):
            return AwsError("AccessDeniedException", "Access to KMS is not allowed")
        who = f"arn:aws:sts::{self._account}:assumed-role/{role}/{session}"
        return AwsError(
            "AccessDeniedException",
            f"User: {who} is not authorized to perform: {need.action} on resource: {need.resource} "
            f"because no identity-based policy allows the {need.action} action",
        )
