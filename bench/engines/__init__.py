"""Rows 10 and 11: real Engines, beside bare docker commands and beside Docker Swarm."""
