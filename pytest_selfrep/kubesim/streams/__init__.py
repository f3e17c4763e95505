"""Two-way streams through the API server: exec, attach, port-forward."""
