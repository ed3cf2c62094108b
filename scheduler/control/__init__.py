"""The users' side of the leader: services, nodes, explanations."""
