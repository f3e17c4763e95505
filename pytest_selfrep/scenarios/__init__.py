"""What agents are put into: the model of a scenario, its loading, and the library."""
