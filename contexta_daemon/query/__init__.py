"""Answers about what the catalog and the log hold. Blocking: everything here runs in threads."""

from .finding import find_run as find_run
from .listing import Listing as Listing
from .pages import PAGE_RECORDS as PAGE_RECORDS
from .pages import Pages as Pages
from .records import Cursor as Cursor
from .records import RecordFilter as RecordFilter
from .series import read_series as read_series
from .sessions import SessionsOfCatalog as SessionsOfCatalog
