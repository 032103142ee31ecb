"""Taking batches in: `admission` (quota and order), `writer` (group commit), `internal` (what the daemon says)."""
