"""Reading what the log holds: batch bodies as entries and arrays, times as text."""

from .decode import BadBatchError as BadBatchError
from .decode import Columns as Columns
from .decode import DecodedBatch as DecodedBatch
from .decode import Rows as Rows
from .decode import decode as decode
from .decode import decode_step as decode_step
from .instants import format_ns as format_ns
from .instants import format_ns_array as format_ns_array
from .instants import parse_instant as parse_instant
from .skeleton import Numbers as Numbers
from .skeleton import body_of as body_of
from .skeleton import read_skeleton as read_skeleton
from .skeleton import skeleton_of as skeleton_of
