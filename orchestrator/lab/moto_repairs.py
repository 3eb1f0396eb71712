"""What the lab mends in moto, each where the real service differs and a run would go by it."""

from typing import Any


def repair() -> None:
    """Mend moto in this process; whoever calls it again changes nothing."""
    from moto.secretsmanager.models import SecretsManagerBackend  # noqa: PLC0415

    move = SecretsManagerBackend.update_secret_version_stage
    if getattr(move, "repaired", False):
        return

    def moved(self: Any, secret_id: str, version_stage: str, **versions: str) -> tuple[str, str]:
        # A label is on one version. moto forgets which one is current when AWSCURRENT is moved, so that the next
        # PutSecretValue would leave the label on two.
        answer = move(self, secret_id, version_stage, **versions)
        if version_stage == "AWSCURRENT" and versions["move_to_version_id"]:
            self.secrets[secret_id].set_default_version_id(versions["move_to_version_id"])
        return answer

    moved.repaired = True  # type: ignore[attr-defined]
    SecretsManagerBackend.update_secret_version_stage = moved  # type: ignore[method-assign,assignment]
