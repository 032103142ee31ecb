"""What happens to registered files: hashed where they lie, and copied into the workspace where that is configured."""

from .hasher import Hasher as Hasher
from .hashing import remove_incoming as remove_incoming
