"""Where trials take place."""
