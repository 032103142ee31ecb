"""What was said in the log, as tables: projects, runs, scopes, keys, artifacts, and where the records lie."""

from .catalog import BEGINNING as BEGINNING
from .catalog import Catalog as Catalog
from .catalog import PendingArtifact as PendingArtifact
from .database import connect_reader as connect_reader
from .names import Key as Key
from .names import Names as Names
from .names import Scope as Scope
from .names import Session as Session
from .names import SessionInfo as SessionInfo
from .names import component as component
