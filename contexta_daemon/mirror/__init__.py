"""record.jsonl and artifact.jsonl: what was captured, as lines for people and other programs. No query reads them."""

from .mirror import Mirror as Mirror
