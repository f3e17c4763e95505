"""A cluster on a port, for clients that speak HTTPS."""
