"""The leader and its standbys."""
