"""What runs that drain instances may do beside the rollout itself."""

from orchestrator.core.iam import Place
from orchestrator.core.iam_document import Statement


def drain_statements(place: Place) -> tuple[Statement, ...]:
    """Allow marking, draining and re-activating the cluster's instances, moving their tasks, and removing ghosts."""
    cluster = place.arn("ecs", f"cluster/{place.cluster}")
    here = {"ArnLike": {"ecs:cluster": (cluster,)}}
    instances, tasks = place.arn("ecs", "container-instance/*"), place.arn("ecs", "task/*")
    marking = ("ecs:PutAttributes", "ecs:DeleteAttributes")
    return (
        Statement(
            sid="DrainInstances",
            actions=("ecs:UpdateContainerInstancesState", "ecs:ListTasks", *marking),
            resources=(instances,),
            conditions=here,
        ),
        # Tags know no condition on the cluster; only registrations with its name in their ARN can have any.
        Statement(
            sid="TagInstances",
            actions=("ecs:TagResource", "ecs:UntagResource"),
            resources=(place.arn("ecs", f"container-instance/{place.cluster}/*"),),
        ),
        Statement(sid="MoveTasks", actions=("ecs:DescribeTasks", "ecs:StopTask"), resources=(tasks,), conditions=here),
        Statement(
            sid="ReadServices",
            actions=("ecs:DescribeServices",),
            resources=(place.arn("ecs", "service/*"),),
            conditions=here,
        ),
        Statement(sid="DeregisterGhosts", actions=("ecs:DeregisterContainerInstance",), resources=(cluster,)),
    )
