"""Pure decisions of the leader: no I/O, no clock, no randomness."""
