"""The applications: each its own consumer group, each started by its name."""
