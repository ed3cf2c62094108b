"""Messages of etcd's gRPC API, generated from proto/scheduler/store/etcdpb/etcd.proto. Never edited."""
