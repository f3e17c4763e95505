"""What may be written: quotas, limits, security, and what is filled in."""
