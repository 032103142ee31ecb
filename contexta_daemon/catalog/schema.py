"""The catalog's tables. Everything here can be made again from the log, so another version is simply rebuilt.

Times are kept twice: as text, the way they were given, and in ns, to sort and compare by. `state` columns hold one
of STATES; a run or scope is open while any opening is open, else it is as its worst closing was; `reason` says why, for
people.
"""

from __future__ import annotations

VERSION = 6

STATES = ("open", "completed", "cancelled", "failed")  # in the order of what outweighs what when settled
OPEN, COMPLETED, CANCELLED, FAILED = range(4)
SUPERSEDED = 9  # a joined session's closing that a later resume took the place of

STAGE, BATCH, SAMPLE, OPERATION = 2, 3, 4, 5  # scopes.kind, as in capture.proto
RUN, DEPLOYMENT = 1, 6

# batches.kinds: what a batch holds besides definitions
HAS_METRICS, HAS_EVENTS, HAS_SPANS, HAS_DEGRADED, HAS_STORED = 1, 2, 4, 8, 16
KIND_OF_RECORD = {"metric": HAS_METRICS, "event": HAS_EVENTS, "span": HAS_SPANS, "degraded": HAS_DEGRADED}

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE projects (
  project_ref TEXT PRIMARY KEY, name TEXT NOT NULL, created_at TEXT NOT NULL, created_ns INTEGER NOT NULL,
  description TEXT NOT NULL DEFAULT '', tags_json TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE runs (
  id INTEGER PRIMARY KEY, run_ref TEXT NOT NULL, attempt INTEGER NOT NULL, project_name TEXT NOT NULL,
  name TEXT NOT NULL, state INTEGER NOT NULL, started_at TEXT NOT NULL, started_ns INTEGER NOT NULL,
  ended_at TEXT NOT NULL DEFAULT '', ended_ns INTEGER, tags_json TEXT NOT NULL DEFAULT '',
  metadata_json TEXT NOT NULL DEFAULT '', dataset_ref TEXT NOT NULL DEFAULT '',
  code_revision TEXT NOT NULL DEFAULT '', config_snapshot_json TEXT NOT NULL DEFAULT '',
  metric_count INTEGER NOT NULL DEFAULT 0, newest INTEGER NOT NULL DEFAULT 1, reason TEXT NOT NULL DEFAULT '',
  UNIQUE (run_ref, attempt)
);
CREATE INDEX runs_by_start ON runs (newest, started_ns);

-- a session is one capturing process; items: the number behind its last logged item
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY, session_id BLOB NOT NULL UNIQUE, parent_session_id BLOB NOT NULL, host TEXT NOT NULL,
  pid INTEGER NOT NULL, job_id TEXT NOT NULL, rank INTEGER, local_rank INTEGER, world_size INTEGER,
  project_name TEXT NOT NULL, launcher TEXT NOT NULL, client_version TEXT NOT NULL, opened_ns INTEGER NOT NULL,
  ended_ns INTEGER, status TEXT NOT NULL DEFAULT 'open', detail TEXT NOT NULL DEFAULT '',
  items INTEGER NOT NULL DEFAULT 0
);

-- which sessions captured into a run attempt, and how each left it
CREATE TABLE run_sessions (
  run INTEGER NOT NULL, session INTEGER NOT NULL, inherited INTEGER NOT NULL, state INTEGER NOT NULL,
  lost INTEGER NOT NULL DEFAULT 0, ended_ns INTEGER, reason TEXT NOT NULL DEFAULT '', PRIMARY KEY (run, session)
) WITHOUT ROWID;
CREATE INDEX runs_of_session ON run_sessions (session);

CREATE TABLE scopes (
  id INTEGER PRIMARY KEY, run INTEGER NOT NULL, kind INTEGER NOT NULL, ref TEXT NOT NULL, name TEXT NOT NULL,
  stage_ref TEXT NOT NULL, batch_ref TEXT NOT NULL, state INTEGER NOT NULL, worst INTEGER NOT NULL DEFAULT 0,
  openings INTEGER NOT NULL, started_at TEXT NOT NULL, started_ns INTEGER NOT NULL,
  ended_at TEXT NOT NULL DEFAULT '', ended_ns INTEGER, ord INTEGER, metadata_json TEXT NOT NULL DEFAULT '',
  retention_class TEXT NOT NULL DEFAULT '', redaction_profile TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '', UNIQUE (run, ref)
);
CREATE INDEX scopes_of_run ON scopes (run, kind, stage_ref, ord);

CREATE TABLE deployments (
  id INTEGER PRIMARY KEY, ref TEXT NOT NULL UNIQUE, project_name TEXT NOT NULL, name TEXT NOT NULL,
  state INTEGER NOT NULL, started_at TEXT NOT NULL, started_ns INTEGER NOT NULL, ended_at TEXT NOT NULL DEFAULT '',
  run_ref TEXT NOT NULL, artifact_ref TEXT NOT NULL, environment_ref TEXT NOT NULL, ord INTEGER,
  metadata_json TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT ''
);

-- session-local ids -> rows; run 0: none. target is a row of runs, scopes or deployments, by kind
CREATE TABLE session_scopes (
  session INTEGER NOT NULL, scope_id INTEGER NOT NULL, kind INTEGER NOT NULL, run INTEGER NOT NULL,
  target INTEGER NOT NULL, inherited INTEGER NOT NULL, state INTEGER NOT NULL, PRIMARY KEY (session, scope_id)
) WITHOUT ROWID;
CREATE INDEX open_scopes ON session_scopes (session) WHERE state = 0;
CREATE INDEX session_scopes_of_run ON session_scopes (run, kind);

CREATE TABLE session_keys (
  session INTEGER NOT NULL, key_id INTEGER NOT NULL, key TEXT NOT NULL, unit TEXT NOT NULL, value_type TEXT NOT NULL,
  aggregation_scope TEXT NOT NULL, summary_basis TEXT NOT NULL, tags_json TEXT NOT NULL, PRIMARY KEY (session, key_id)
) WITHOUT ROWID;
CREATE INDEX sessions_of_key ON session_keys (key);
CREATE TABLE session_groups (
  session INTEGER NOT NULL, group_id INTEGER NOT NULL, key_ids BLOB NOT NULL, PRIMARY KEY (session, group_id)
) WITHOUT ROWID;

-- a metric of a stage ('': of the run itself) on a rank (-1: none) in numbers, see tally.py; NaN is kept as NULL
CREATE TABLE summaries (
  run INTEGER NOT NULL, stage_ref TEXT NOT NULL, key TEXT NOT NULL, rank INTEGER NOT NULL, unit TEXT NOT NULL,
  points INTEGER NOT NULL, finite INTEGER NOT NULL, first_value REAL, first_ns INTEGER NOT NULL, last_value REAL,
  last_step INTEGER NOT NULL, last_ns INTEGER NOT NULL, least REAL, greatest REAL, mean REAL, squares REAL,
  odd_step INTEGER, odd_ns INTEGER, PRIMARY KEY (run, stage_ref, key, rank)
) WITHOUT ROWID;
CREATE INDEX summaries_of_key ON summaries (key, run);

-- where records lie in the log; scopes and keys are id ranges, see ranges.py
CREATE TABLE batches (
  id INTEGER PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL, session INTEGER NOT NULL,
  kinds INTEGER NOT NULL, first_sequence INTEGER NOT NULL, items INTEGER NOT NULL, min_ns INTEGER NOT NULL,
  max_ns INTEGER NOT NULL, scopes BLOB NOT NULL, keys BLOB NOT NULL
);
CREATE INDEX batches_of_session ON batches (session, id);
CREATE INDEX batches_by_position ON batches (segment, offset);

CREATE TABLE artifacts (
  id INTEGER PRIMARY KEY, ref TEXT NOT NULL, session INTEGER NOT NULL, run INTEGER NOT NULL, scope INTEGER NOT NULL,
  run_ref TEXT NOT NULL, stage_ref TEXT NOT NULL, batch_ref TEXT NOT NULL, sample_ref TEXT NOT NULL,
  operation_ref TEXT NOT NULL, deployment_ref TEXT NOT NULL, kind TEXT NOT NULL, created_at TEXT NOT NULL,
  created_ns INTEGER NOT NULL, location TEXT NOT NULL, present INTEGER NOT NULL, size_bytes INTEGER,
  modified_ns INTEGER NOT NULL DEFAULT 0, inode INTEGER NOT NULL DEFAULT 0, attributes_json TEXT NOT NULL DEFAULT '',
  hash_value TEXT NOT NULL DEFAULT '', problem TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT '',
  stored_path TEXT NOT NULL DEFAULT '', pending INTEGER NOT NULL DEFAULT 0, producer_ref TEXT NOT NULL DEFAULT '',
  UNIQUE (ref, session, run)
);
CREATE INDEX artifacts_of_run ON artifacts (run);
CREATE INDEX artifacts_pending ON artifacts (id) WHERE pending > 0;

CREATE TABLE environments (
  run INTEGER NOT NULL, ref TEXT NOT NULL, session INTEGER NOT NULL, captured_at TEXT NOT NULL,
  python_version TEXT NOT NULL, platform TEXT NOT NULL, packages_json TEXT NOT NULL,
  environment_variables_json TEXT NOT NULL, command_json TEXT NOT NULL, host TEXT NOT NULL, git_json TEXT NOT NULL,
  details_json TEXT NOT NULL, PRIMARY KEY (run, ref, session)
) WITHOUT ROWID;

-- relations and what supports them, put through the stores
CREATE TABLE relations (
  ref TEXT PRIMARY KEY, type TEXT NOT NULL, source_ref TEXT NOT NULL, target_ref TEXT NOT NULL,
  recorded_at TEXT NOT NULL, origin TEXT NOT NULL, confidence TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX relations_from ON relations (source_ref);
CREATE INDEX relations_to ON relations (target_ref);
CREATE TABLE provenance (
  ref TEXT PRIMARY KEY, relation_ref TEXT NOT NULL, assertion_mode TEXT NOT NULL, asserted_at TEXT NOT NULL,
  formation_context_ref TEXT NOT NULL, policy_ref TEXT NOT NULL, evidence_bundle_ref TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE dropped (
  session INTEGER NOT NULL, reason TEXT NOT NULL, metrics INTEGER NOT NULL, entries INTEGER NOT NULL,
  PRIMARY KEY (session, reason)
) WITHOUT ROWID;

-- records put through the stores; run: the row of the attempt that each is of, 0: none
CREATE TABLE stored_records (
  ref TEXT PRIMARY KEY, batch INTEGER NOT NULL, item INTEGER NOT NULL, run INTEGER NOT NULL, digest BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE stored_models (model TEXT, ref TEXT, json TEXT NOT NULL, PRIMARY KEY (model, ref)) WITHOUT ROWID;

-- what could not be understood, and was left out
CREATE TABLE set_aside (segment INTEGER NOT NULL, offset INTEGER NOT NULL, item INTEGER NOT NULL, reason TEXT NOT NULL);
"""
