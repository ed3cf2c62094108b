"""The node agent: one per machine, between the scheduler and the Docker Engine."""
