"""Generated from proto/contexta/v1 by scripts/generate_stubs.py."""
