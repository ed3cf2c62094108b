"""Machines with a real systemd as PID 1, in containers of a lab's Engine."""
