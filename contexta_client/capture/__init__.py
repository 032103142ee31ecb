"""Capture in the training process. Standard library only: no grpc, protobuf, numpy or duckdb, and no thread."""
