"""pytest's hooks, options, marker and fixtures. Glue only."""
