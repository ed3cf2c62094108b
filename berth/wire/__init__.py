"""Between processes: protobuf and the model, channels, statuses."""
