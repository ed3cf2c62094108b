"""The agent's connection to the schedulers."""
