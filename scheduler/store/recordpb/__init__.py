"""Generated from proto/scheduler/store/recordpb by `make proto`; never edited."""
