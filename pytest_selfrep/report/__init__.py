"""What people and CI read of a gate."""
