"""Every reason that a decision or an outcome can have, with what it means and what to do about it.

The one place for these sentences: table, JSON, notices and README take them from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Reason(StrEnum):
    """Why. The values are the words of the documents' result lines and of the reports."""

    # decisions
    NEEDS_UPDATE = "needs_update"
    NEEDS_RESTORE = "needs_restore"
    ALREADY_CURRENT = "already_current"
    EPHEMERAL = "ephemeral"
    PERSISTENCE_UNKNOWN = "persistence_unknown"
    NO_RESTART_METHOD = "no_restart_method"
    AGENT_DOWN = "agent_down"
    AGENT_ABSENT = "agent_absent"
    WATCHDOG_ARMED = "watchdog_armed"
    TOOL_MISSING = "tool_missing"
    WINDOWS = "windows"
    BOTTLEROCKET = "bottlerocket"
    MANAGED_INSTANCES = "managed_instances"
    DRAINING_ELSEWHERE = "draining_elsewhere"
    NOT_ACTIVE = "not_active"
    GHOST = "ghost"
    REGISTRY_REMOVED = "registry_removed"
    NOT_SELECTED = "not_selected"
    EXCLUDED = "excluded"
    LIMITED = "limited"
    STANDALONE_TASKS = "standalone_tasks"
    NEEDS_RELEASE = "needs_release"
    NEEDS_HEALING = "needs_healing"
    NOTHING_TO_HEAL = "nothing_to_heal"
    STRANDED = "stranded"
    # draining
    DRAIN_REFUSED = "drain_refused"
    DRAIN_TIMED_OUT = "drain_timed_out"
    NO_CAPACITY = "no_capacity"
    REACTIVATED_ELSEWHERE = "reactivated_elsewhere"
    RELEASED = "released"
    TAKEN_BACK = "taken_back"
    # not reached
    SSM_OFFLINE = "ssm_offline"
    SSM_NOT_REGISTERED = "ssm_not_registered"
    SSM_REFUSED = "ssm_refused"
    DELIVERY_TIMED_OUT = "delivery_timed_out"
    NO_RESULT = "no_result"
    RESULT_LOST = "result_lost"
    # the instance's own refusals
    FENCE_STALE = "fence_stale"
    EXPIRED = "expired"
    LOCKED = "locked"
    TASKS_RUNNING = "tasks_running"
    CLUSTER_MISMATCH = "cluster_mismatch"
    CONFIG_UNWRITABLE = "config_unwritable"
    CONFIG_UNSUPPORTED = "config_unsupported"
    DISK_FULL = "disk_full"
    # the payload
    PAYLOAD_DENIED = "payload_denied"
    PAYLOAD_UNREACHABLE = "payload_unreachable"
    PAYLOAD_MISSING = "payload_missing"
    PAYLOAD_THROTTLED = "payload_throttled"
    PAYLOAD_CLOCK_SKEW = "payload_clock_skew"
    PAYLOAD_DIGEST = "payload_digest"
    PAYLOAD_MALFORMED = "payload_malformed"
    NO_INSTANCE_CREDENTIALS = "no_instance_credentials"
    # the change and its proof; which of several is told: documents/src/verify.sh
    VERIFIED = "verified"
    RESTART_FAILED = "restart_failed"
    AGENT_DID_NOT_RETURN = "agent_did_not_return"
    CLUSTER_CHANGED = "cluster_changed"
    IDENTITY_CHANGED = "identity_changed"
    TASKS_LOST = "tasks_lost"
    CONTAINER_NOT_REPLACED = "container_not_replaced"
    ENVIRONMENT_NOT_NEW = "environment_not_new"
    AUTH_WARNING = "auth_warning"
    METADATA_MALFORMED = "metadata_malformed"
    LOGIN_REFUSED = "login_refused"
    LOGIN_UNREACHABLE = "login_unreachable"
    INTERRUPTED = "interrupted"
    WATCHDOG_RESTORED = "watchdog_restored"
    RESTORED = "restored"
    NOTHING_TO_RESTORE = "nothing_to_restore"
    NO_BACKUP = "no_backup"
    RESTORE_FAILED = "restore_failed"
    INTERNAL = "internal"
    # what ECS says afterwards
    NOT_CONNECTED = "not_connected"
    TERMINATED = "terminated"
    # never begun
    HALTED = "halted"
    # in a run that has not ended
    NOT_YET = "not_yet"
    UNDER_WAY = "under_way"
    TAKEN_OVER = "taken_over"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a reason means, in one sentence, and what to do about it, in one more."""

    meaning: str
    remedy: str


_RUN_AGAIN = "Run the same command again."

EXPLANATIONS: Mapping[Reason, Explanation] = MappingProxyType(
    {
        Reason.NEEDS_UPDATE: Explanation(
            "The instance does not run this credential yet.", "`ecs-rollout run` applies it."
        ),
        Reason.NEEDS_RESTORE: Explanation(
            "The instance runs the credential of the run that is taken back.", "`ecs-rollout restore` takes it back."
        ),
        Reason.ALREADY_CURRENT: Explanation(
            "File, marker and the running agent all hold this credential already.", "Nothing to do."
        ),
        Reason.EPHEMERAL: Explanation(
            "The agent keeps no state (ECS_DATADIR): a restart gives it a new identity and orphans its tasks.",
            "Say --on-ephemeral drain, give the agent a persistent ECS_DATADIR, or replace the instance.",
        ),
        Reason.PERSISTENCE_UNKNOWN: Explanation(
            "The instance does not tell whether its agent keeps its state.",
            "Look at `docker inspect ecs-agent` there: ECS_DATADIR, its mount and agent.db.",
        ),
        Reason.NO_RESTART_METHOD: Explanation(
            "No way to restart this host's agent could be told with certainty.",
            "Run the agent as the unit 'ecs' (ecs-init), or replace the instance.",
        ),
        Reason.AGENT_DOWN: Explanation(
            "The ECS agent did not answer before anything was changed.",
            "Look at /var/log/ecs/ecs-agent.log there; start the agent, then run again.",
        ),
        Reason.AGENT_ABSENT: Explanation(
            "There is no ECS agent container on the instance.", "Start the agent (ecs-init), then run again."
        ),
        Reason.WATCHDOG_ARMED: Explanation(
            "Another change is under way on the instance and its watchdog is armed.",
            "Wait until the watchdog's time is over (7 minutes by default), then run again.",
        ),
        Reason.TOOL_MISSING: Explanation(
            "A tool that the change needs is missing on the instance.",
            "Install what the message names (curl 7.75 or later, or the AWS CLI).",
        ),
        Reason.WINDOWS: Explanation(
            "Windows container instances are not supported.", "Change the agent's environment there by hand."
        ),
        Reason.BOTTLEROCKET: Explanation(
            "Bottlerocket takes its registry credentials through its own settings API.",
            "Set `settings.container-registry.credentials` instead.",
        ),
        Reason.MANAGED_INSTANCES: Explanation(
            "AWS runs ECS Managed Instances itself; nobody can edit their agent's file.",
            "Use `repositoryCredentials` in the task definition there.",
        ),
        Reason.DRAINING_ELSEWHERE: Explanation(
            "Somebody else set the instance DRAINING; it is left as it is.",
            "Run again when it is ACTIVE, or let it go.",
        ),
        Reason.NOT_ACTIVE: Explanation(
            "ECS does not call the instance ACTIVE.",
            "Look at its status in ECS; run again when it is ACTIVE.",
        ),
        Reason.GHOST: Explanation(
            "An old registration of an instance that is registered again under another ARN.",
            "`aws ecs deregister-container-instance --cluster C --container-instance ID --force`, if nobody needs it.",
        ),
        Reason.REGISTRY_REMOVED: Explanation(
            "The instance has a login today that the new credential lacks.",
            "Add the registry to the credential, or say --allow-removal.",
        ),
        Reason.STANDALONE_TASKS: Explanation(
            "Tasks that belong to no service run on the instance; draining moves them nowhere.",
            "Wait until they have ended and run again, or say --standalone-tasks stop.",
        ),
        Reason.NEEDS_RELEASE: Explanation(
            "A run that has died set the instance DRAINING and never gave it back.",
            "`ecs-rollout heal` sets it ACTIVE again.",
        ),
        Reason.NEEDS_HEALING: Explanation(
            "A change on the instance was left half-way and no watchdog guards it.",
            "`ecs-rollout heal` takes it back.",
        ),
        Reason.STRANDED: Explanation(
            "A run took the instance out of service, and what it took could not be given back yet.",
            "`ecs-rollout heal` gives it back, once the instance answers and no watchdog is armed there.",
        ),
        Reason.NOTHING_TO_HEAL: Explanation("No dead run has left anything on the instance.", "Nothing to do."),
        Reason.DRAIN_REFUSED: Explanation(
            "ECS did not let the run mark the instance or set it DRAINING.",
            "Read the message; `ecs-rollout iam controller --drain` prints what it needs.",
        ),
        Reason.DRAIN_TIMED_OUT: Explanation(
            "Tasks were still running when the time for draining was over; the instance is ACTIVE again.",
            "Look at what still runs there; give it more time with --drain-timeout.",
        ),
        Reason.NO_CAPACITY: Explanation(
            "For the whole time for draining the rest of the cluster had no room for the instance's tasks.",
            "Add an instance, or let the services' deployment percentages give way; then run again.",
        ),
        Reason.REACTIVATED_ELSEWHERE: Explanation(
            "Somebody else set the instance ACTIVE while it was being drained; it is left as it is.",
            "Find out who needs it; then run again.",
        ),
        Reason.RELEASED: Explanation(
            "A run that has died had taken the instance out of service; it is ACTIVE again.", "Nothing to do."
        ),
        Reason.TAKEN_BACK: Explanation("A change that a dead run had left half-way is taken back.", "Nothing to do."),
        Reason.NOT_SELECTED: Explanation(
            "The run was told to change others only.",
            "Run again without --instance, --attribute, --tag and --zone, or with others, to include it.",
        ),
        Reason.EXCLUDED: Explanation(
            "The run was told to leave the instance out.", "Run again without its --exclude to include it."
        ),
        Reason.LIMITED: Explanation(
            "The instance needs the change, but the run was told to change only so many (--limit).",
            "Run the same command again: it goes on with those that are left.",
        ),
        Reason.SSM_OFFLINE: Explanation(
            "Systems Manager has lost the connection to the instance's SSM agent.",
            "Start amazon-ssm-agent there and check its way to the ssm endpoints; then run again.",
        ),
        Reason.SSM_NOT_REGISTERED: Explanation(
            "The instance is not registered with Systems Manager.",
            "Install amazon-ssm-agent and give the role AmazonSSMManagedInstanceCore; then run again.",
        ),
        Reason.SSM_REFUSED: Explanation(
            "Systems Manager did not accept a command for the instance.", "Read the message; then run again."
        ),
        Reason.DELIVERY_TIMED_OUT: Explanation(
            "The command did not reach the instance in time; a later look shows that it never began.",
            _RUN_AGAIN,
        ),
        Reason.NO_RESULT: Explanation(
            "The inspection ended without a result line.",
            "Read the command's output in the console; run again.",
        ),
        Reason.RESULT_LOST: Explanation(
            "The command may or may not have run: no result came, and the instance could not be inspected.",
            "Run again: the instance is inspected before anything is done to it.",
        ),
        Reason.FENCE_STALE: Explanation(
            "The instance has already seen a newer run than this one.",
            "Nothing to do here; the newer run decides.",
        ),
        Reason.EXPIRED: Explanation(
            "The command arrived after its expiry and did nothing.",
            "Check the instance's clock and SSM agent; run again.",
        ),
        Reason.LOCKED: Explanation("Another ecs-rollout command was at work on the instance.", _RUN_AGAIN),
        Reason.TASKS_RUNNING: Explanation(
            "The agent keeps no state and tasks run: a restart would orphan them.",
            "Drain the instance first, or give the agent a persistent ECS_DATADIR.",
        ),
        Reason.CLUSTER_MISMATCH: Explanation(
            "The agent on the instance serves another cluster than the one named.",
            "Check ECS_CLUSTER there.",
        ),
        Reason.CONFIG_UNWRITABLE: Explanation(
            "The agent's env file cannot be replaced (read-only, immutable, or not a file).",
            "Mend the file or its file system; nothing was changed.",
        ),
        Reason.CONFIG_UNSUPPORTED: Explanation(
            "The agent's env file has a form that cannot be edited without risk.",
            "Mend what the message names; nothing was changed.",
        ),
        Reason.DISK_FULL: Explanation(
            "There is no room on the instance for the backup or the new file.", "Free some space; run again."
        ),
        Reason.PAYLOAD_DENIED: Explanation(
            "The instance's role may not read the delivered credential.",
            "Allow it what `ecs-rollout iam instance` prints for your --delivery and --kms-key.",
        ),
        Reason.PAYLOAD_UNREACHABLE: Explanation(
            "The instance could not reach the store of the delivered credential.",
            "Check the instance's route or VPC endpoint to that service.",
        ),
        Reason.PAYLOAD_MISSING: Explanation(
            "The delivered credential was not there any more.",
            "Find out whether it was removed by hand; run again.",
        ),
        Reason.PAYLOAD_THROTTLED: Explanation(
            "The store of the credential throttled the instance for too long.",
            "Run again with a smaller --max-unavailable.",
        ),
        Reason.PAYLOAD_CLOCK_SKEW: Explanation(
            "AWS refused the instance's signature because of its clock.",
            "Set the instance's clock; run again.",
        ),
        Reason.PAYLOAD_DIGEST: Explanation(
            "What the instance fetched is not what was delivered.",
            "Find out who wrote to the delivery path; then run again.",
        ),
        Reason.PAYLOAD_MALFORMED: Explanation(
            "What the instance fetched is not a payload of this tool.",
            "Find out who wrote to the delivery path; then run again.",
        ),
        Reason.NO_INSTANCE_CREDENTIALS: Explanation(
            "The instance metadata service gave no role credentials.",
            "Attach an instance profile, or raise the metadata hop limit.",
        ),
        Reason.VERIFIED: Explanation(
            "The agent runs with the new credential, with the identity and tasks that it should have, and ECS sees it.",
            "Nothing to do.",
        ),
        Reason.RESTART_FAILED: Explanation(
            "The agent's restart could not be started.", "Look at `systemctl status ecs` there."
        ),
        Reason.AGENT_DID_NOT_RETURN: Explanation(
            "The agent did not answer in time after the restart.",
            "Look at /var/log/ecs/ecs-agent.log there before you try again.",
        ),
        Reason.CLUSTER_CHANGED: Explanation(
            "After the restart the agent served another cluster.", "Check ECS_CLUSTER in every config there."
        ),
        Reason.IDENTITY_CHANGED: Explanation(
            "After the restart the agent came back as another container instance.",
            "Its state was not kept: check ECS_DATADIR and its mount.",
        ),
        Reason.TASKS_LOST: Explanation(
            "After the restart the agent did not know all of its running tasks.",
            "Look at /v1/tasks and `docker ps` there.",
        ),
        Reason.CONTAINER_NOT_REPLACED: Explanation(
            "The old agent kept running; the new one never started.",
            "Look at `journalctl -u ecs` there.",
        ),
        Reason.ENVIRONMENT_NOT_NEW: Explanation(
            "The new agent does not hold the new value in its environment.",
            "Look for another place that sets it: /var/lib/ecs/ecs.config, a drop-in of the unit.",
        ),
        Reason.AUTH_WARNING: Explanation(
            "The agent warned in its log that it cannot use the credential.",
            "Run `ecs-rollout credential lint` on the source.",
        ),
        Reason.METADATA_MALFORMED: Explanation(
            "The introspection endpoint answered something that is not the agent's metadata.",
            "Find out what holds port 51678 there.",
        ),
        Reason.LOGIN_REFUSED: Explanation(
            "The registry refused the login from the instance; nothing was changed.",
            "Check user and password at the registry. `restore --no-probe-old` brings an old login back all the same.",
        ),
        Reason.LOGIN_UNREACHABLE: Explanation(
            "The registry could not be reached from the instance.", "Check its route, proxy and certificate."
        ),
        Reason.INTERRUPTED: Explanation("The change was interrupted on the instance.", _RUN_AGAIN),
        Reason.WATCHDOG_RESTORED: Explanation(
            "The command was killed half-way; the watchdog brought the old state back.",
            "Find out what killed it (reboot, memory, a cancel); run again.",
        ),
        Reason.RESTORED: Explanation("The old credential is back.", "Nothing to do."),
        Reason.NOTHING_TO_RESTORE: Explanation("The instance holds nothing of that run.", "Nothing to do."),
        Reason.NO_BACKUP: Explanation(
            "The backup of that run is not there any more.", "Run a rollout with the old credential instead."
        ),
        Reason.RESTORE_FAILED: Explanation(
            "The change failed and the old state could not be proven to be back: look at this one first.",
            "Log on to the instance: the backups are in /var/lib/ecs-rollout/, the log beside them.",
        ),
        Reason.INTERNAL: Explanation(
            "The document met something it does not know.",
            "Read /var/lib/ecs-rollout/log there and report it as a defect.",
        ),
        Reason.NOT_CONNECTED: Explanation(
            "The agent is up on the instance, but ECS did not see it connected in time.",
            "Look at the agent's log for its connection to ECS.",
        ),
        Reason.TERMINATED: Explanation("The instance went away during the run.", "Nothing to do."),
        Reason.NOT_YET: Explanation(
            "The run had not come to the instance when the journal was read.",
            "Wait for the run; if its controller is gone, `ecs-rollout resume` goes on with it.",
        ),
        Reason.UNDER_WAY: Explanation(
            "The run had begun with the instance and not seen its end when the journal was read.",
            "Wait for the run; if its controller is gone, `ecs-rollout resume` finds out what became of it.",
        ),
        Reason.TAKEN_OVER: Explanation(
            "The run broke off before it was done with the instance, and a later run took its cluster over.",
            "Look at the report of the later run; `ecs-rollout heal --dry-run` shows what may be left.",
        ),
        Reason.HALTED: Explanation(
            "The run stopped admitting instances before it came to this one.",
            "Mend what halted the run, unless somebody stopped it; then run again.",
        ),
    }
)
