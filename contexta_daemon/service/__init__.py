"""The daemon's gRPC services. Nothing below this folder knows gRPC."""
