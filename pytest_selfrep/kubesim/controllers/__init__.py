"""Controllers: each brings one kind of object towards its spec."""
