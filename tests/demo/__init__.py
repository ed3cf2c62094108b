"""The main job on real parts, shown: `make demo`."""
