"""Which runs a tag asks for: values of any kind, and the texts that stand for them. What a caller gets of odd tags."""

import json
from contextlib import closing

import pytest
from logged import NS, FakeLog, run_opened, session_opened

from contexta.interpretation.messages import observation
from contexta.v1 import query_pb2 as q
from contexta_daemon.catalog import Catalog
from contexta_daemon.query import Listing

LARGE = "123456789012345678901234567890"
LIST, MAPPING = '[0, 1, "\\u00e9"]', '{"b": 1, "a": {"x": null}}'
STORED = ["3", '"3"', "3.0", "true", '"true"', "false", "1", "0.001", '"abc"', "null", LARGE, LIST, MAPPING, "[]"]


def found_by(folder, stored, asked):
    """Return which of runs with these tags are listed."""
    log, catalog = FakeLog(), Catalog(folder / "catalog.sqlite3")
    for number, tags_json in enumerate(stored):
        opened = run_opened(1, f"run:p.r{number}", time_ns=NS + number, tags_json=tags_json)
        log.add(number + 1, session_opened(), opened)
    catalog.follow(list(log.read(catalog.position)), log.committed)
    with closing(catalog), closing(catalog.connect()) as connection:
        found = Listing(connection).runs(q.ListRunsRequest(tags_json=asked)).runs
    return [int(run.run_id.removeprefix("run:p.r")) for run in found]


@pytest.mark.parametrize(
    ("asked", "matching"),
    [
        ('"3"', ["3", '"3"', "3.0"]), ("3", ["3", "3.0"]), ('"true"', ["true", '"true"']), ('"false"', ["false"]),
        ('"1"', ["1"]), ('"1e-3"', ["0.001"]), ('"abc"', ['"abc"']), ('"\\"abc\\""', []), ('"null"', []),
        (f'"{LARGE}"', [LARGE]), (LARGE, [LARGE]), (f'"1{"0" * 400}"', []), ('"["', []),
        ("null", ["null"]), ("true", ["true"]), ("1", ["1"]), ("0", []), ("[]", ["[]"]), ("{}", []),
        ('[0,1,"é"]', [LIST]), ("[1, 0]", []),
        ('"[0, 1.0, \\"é\\"]"', [LIST]), ('{"a": {"x": null}, "b": 1}', [MAPPING]),
        ('{"b": 1}', []), pytest.param("[" * 60 + "]" * 60, [], id="deep"),
    ],
)  # fmt: skip
def test_a_text_matches_the_number_or_truth_value_that_it_stands_for_too(tmp_path, asked, matching):
    found = found_by(tmp_path, [f'{{"n": {value}}}' for value in STORED], f'{{"n": {asked}}}')
    assert [STORED[number] for number in found] == matching


@pytest.mark.parametrize("name", ['a "b"', "a.b", "a[0]", "back\\slash", "größe", "", "$"])
def test_a_tag_may_have_any_name(tmp_path, name):
    stored = [json.dumps({name: 1}), json.dumps({name: 2}), json.dumps({f"{name}x": 1}), "", "[1]", "{oops"]
    assert found_by(tmp_path, stored, json.dumps({name: 1})) == [0]


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", {}), ('{"a": 1}', {"a": 1}), ("[1]", {"value": [1]}), ("{oops", {"text": "{oops"}),
        pytest.param("[" * 100_000, {"text": "[" * 100_000}, id="deep"),
    ],
)  # fmt: skip
def test_tags_of_a_producer_in_another_language_cost_no_caller_the_answer(text, tags):
    assert observation(q.Record(record_ref="record:p.r.1", tags_json=text, payload_json=text)).tags == tags
