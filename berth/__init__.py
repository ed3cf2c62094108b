"""The shared language of Berth's processes: model, wire, errors, clock. No process's own code."""

import os

# gRPC's core otherwise writes every failed handshake and every GOAWAY to standard error, into the
# logs of our programs and before the eyes of the command's users; what they mean is told as errors.
# It reads this once, when it is first imported, which for our programs is after this line.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
