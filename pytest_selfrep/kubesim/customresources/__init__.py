"""Custom resources: kinds that CustomResourceDefinitions add to a cluster."""
