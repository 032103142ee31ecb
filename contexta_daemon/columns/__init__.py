"""Metrics as sorted Parquet files, which any engine can read. Drawn in docs/format/columns.md."""

from .bodies import fetcher as fetcher
from .columns import Columns as Columns
from .dropping import Dropper as Dropper
from .files import chain_in as chain_in
from .files import damaged as damaged
from .gathering import stored_metric as stored_metric
from .reading import ColumnPoints as ColumnPoints
from .reading import read_columns as read_columns
