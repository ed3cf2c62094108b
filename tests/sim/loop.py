"""Virtual time for the simulator: a loop whose selector jumps to the next deadline."""

from tests.fakes.virtual_time import VirtualClock, VirtualLoop, run_virtually

__all__ = ["VirtualClock", "VirtualLoop", "run_virtually"]
