"""The seeded simulator: real schedulers and agents on virtual time; see docs/testing.md."""
