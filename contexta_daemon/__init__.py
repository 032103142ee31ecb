"""The background service: takes what senders bring, keeps it, and answers questions about it."""
