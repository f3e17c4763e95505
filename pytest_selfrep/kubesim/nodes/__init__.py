"""The simulated nodes: kubelets, their pods, and what becomes of both."""
