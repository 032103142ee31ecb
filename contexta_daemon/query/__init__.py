"""Answers about what the catalog and the log hold. Blocking: everything here runs in threads."""

from .finding import find_run as find_run
from .listing import Listing as Listing
from .records import RecordFilter as RecordFilter
from .records import RecordReader as RecordReader
from .series import read_series as read_series
from .sessions import SessionsOfCatalog as SessionsOfCatalog
