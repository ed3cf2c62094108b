"""Berth's nouns as frozen values. Pure: nothing here reads a clock, a socket or a file."""
