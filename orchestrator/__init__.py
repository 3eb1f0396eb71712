"""ecs-rollout: change the registry credential of every container instance of an ECS cluster, and prove it."""
