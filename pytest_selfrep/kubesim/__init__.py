"""A Kubernetes API server, its controllers, scheduler and nodes as one deterministic state machine."""
