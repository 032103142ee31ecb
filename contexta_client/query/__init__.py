"""Asking the daemon: a lazy channel, the questions, and records as they come.

grpc is imported with the first question.
"""
