"""Who may ask for what: the lab's own key everything, an instance's role what it needs on an instance and no more."""

from collections.abc import Mapping

from orchestrator.lab.imds import ROLE, Credentials, credentials_of
from orchestrator.lab.messages import PlainRequest
from orchestrator.lab.signatures import Secret, access_key_of, verify
from orchestrator.lab.wire import AwsError

ACCESS_KEY = "AKIALABLABLABLABLAB0"
SECRET_KEY = "lab-secret-access-key-that-opens-nothing"  # noqa: S105 - opens nothing

# What a role with AmazonSSMManagedInstanceCore and read access to the payload's stores can do (F78).
_ROLE_MAY = frozenset({"GetParameter", "GetParameters", "GetSecretValue", "GetCallerIdentity", "Decrypt"})


class Access:
    """The keys that the lab handed out. A key that it does not know is moto's, or anybody's, and passes unchecked.

    `denied` names instances whose role may read no payload.
    """

    def __init__(self, *, account: str, seed: int) -> None:
        self._account = account
        self._seed = seed
        self._secrets: dict[str, Secret] = {ACCESS_KEY: Secret(secret_access_key=SECRET_KEY)}
        self._instances: dict[str, str] = {}
        self.denied: set[str] = set()

    @property
    def instances(self) -> Mapping[str, str]:
        """Instance ids by the access key of their role."""
        return self._instances

    def admit(self, instance_id: str) -> Credentials:
        """Know the role credentials that the instance's metadata service hands out."""
        given = credentials_of(instance_id, self._seed)
        self._secrets[given.access_key_id] = Secret(secret_access_key=given.secret_access_key, token=given.token)
        self._instances[given.access_key_id] = instance_id
        return given

    def check(self, request: PlainRequest, operation: str) -> None:
        """Raise AwsError for a wrong signature, and for an instance that asks for what its role does not allow."""
        key = access_key_of(request)
        secret = self._secrets.get(key)
        # A presigned URL carries its signature in the query; moto's business.
        if secret is None or "X-Amz-Signature=" in request.raw_path:
            return
        verify(request, secret)
        instance_id = self._instances.get(key)
        if instance_id is None:
            return
        reads_object = operation.startswith(("GET /", "HEAD /"))
        if instance_id in self.denied or not (operation in _ROLE_MAY or reads_object):
            who = f"arn:aws:sts::{self._account}:assumed-role/{ROLE}/{instance_id}"
            message = f"User: {who} is not authorized to perform: {operation}"
            raise AwsError("AccessDeniedException", message)
