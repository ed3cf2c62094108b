"""The container runtime behind a port."""
