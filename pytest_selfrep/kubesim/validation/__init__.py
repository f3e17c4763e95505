"""Whether objects make sense, in Kubernetes' words."""
