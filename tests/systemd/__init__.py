"""Berth under a real systemd, on machines that are containers."""
