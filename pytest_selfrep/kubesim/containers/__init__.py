"""What runs inside containers: a small shell with its programs, over a file system in memory."""
