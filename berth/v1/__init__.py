"""Generated from proto/berth/v1 by `make proto`; never edited."""
