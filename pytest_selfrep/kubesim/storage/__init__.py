"""Storage: claims, the volumes they are bound to, and who makes those."""
