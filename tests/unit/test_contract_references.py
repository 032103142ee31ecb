"""References: what one may look like, and how names become parts of them."""

from __future__ import annotations

import pytest

from contexta.contract import child_ref, format_ref, is_ref, parse_ref, slug
from contexta.errors import ValidationError

EXAMPLES = [
    "project:iris-svm",
    "run:iris-svm.linear-svm",
    "deployment:digits-cnn.tiny-cnn-candidate",
    "stage:iris-svm.linear-svm.evaluate",
    "batch:iris-svm.linear-svm.evaluate.holdout-split",
    "sample:iris-svm.linear-svm.evaluate.holdout-split.first-prediction",
    "sample:my-proj.run-01.evaluate.s-0001",
    "op:demo.run-1.train.step-3",
    "record:iris-svm.linear-svm.metric-83158bdfadd1",
    "artifact:diabetes-artifact.fitted-model.model-d10c0378adbc",
    "environment:p.r.runtime",
    "relation:p.r.one",
    "provenance:p.r.one",
    "dataset:sklearn.iris",
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_reference_comes_back_from_its_parts(text: str) -> None:
    reference = parse_ref(text)
    assert str(reference) == text
    assert format_ref(reference.kind, *reference.components) == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "ref_invalid"),
        ("run", "ref_invalid"),
        (":a.b", "ref_invalid"),
        ("Run:a.b", "ref_invalid"),
        ("run:", "ref_invalid"),
        ("run:a..b", "ref_invalid"),
        ("run:a.B", "ref_invalid"),
        ("run:a.-b", "ref_invalid"),
        ("run:a.b-", "ref_invalid"),
        ("run:a.b--c", "ref_invalid"),
        ("run:a.b_c", "ref_invalid"),
        ("run:a.b\n", "ref_invalid"),
        ("run:a.b\0", "ref_invalid"),
        ("run:a.é", "ref_invalid"),
        ("run:a.٣", "ref_invalid"),
        ("run:../../etc", "ref_invalid"),
        ("run:a", "ref_component_count"),
        ("run:a.b.c", "ref_component_count"),
        ("sample:a.b.c", "ref_component_count"),
        ("sample:a.b.c.d.e.f", "ref_component_count"),
        ("run:a." + "b" * 64, "ref_component_too_long"),
        ("dataset:" + ".".join(["a" * 60] * 5), "ref_too_long"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_code(text: str, code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_ref(text)
    assert caught.value.code == code
    assert not is_ref(text)


def test_the_longest_allowed_component_and_reference_are_taken() -> None:
    assert parse_ref("run:a." + "b" * 63)
    longest = "dataset:" + ".".join(["a" * 60] * 4)
    longest += "." + "b" * (254 - len(longest))
    assert len(longest) == 255
    assert parse_ref(longest)


def test_a_reference_of_another_kind_than_asked_for_is_refused() -> None:
    with pytest.raises(ValidationError, match="'run:'") as caught:
        parse_ref("stage:a.b.c", kind="run", field="run_ref")
    assert caught.value.code == "ref_kind_mismatch"
    assert "run_ref" in caught.value.message


def test_no_text_is_no_reference() -> None:
    assert not is_ref(None)
    assert not is_ref(7)


@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("linear-svm", "linear-svm"),
        ("Linear SVM", "linear-svm"),
        ("epoch_1", "epoch-1"),
        ("  a // b  ", "a-b"),
        ("--x--", "x"),
        ("실험 1", "1"),
        ("Ünïcode", "n-code"),
    ],
)
def test_a_name_becomes_a_component(name: str, component: str) -> None:
    assert slug(name) == component


def test_a_name_with_a_dot_is_refused_and_told_what_to_write() -> None:
    with pytest.raises(ValidationError, match="'v1-2'") as caught:
        slug("v1.2")
    assert caught.value.code == "name_with_dot"


@pytest.mark.parametrize("name", ["", "  ", "---", "실험"])
def test_a_name_with_nothing_left_is_refused_and_told_what_to_write(name: str) -> None:
    with pytest.raises(ValidationError, match="Write a name such as") as caught:
        slug(name)
    assert caught.value.code == "name_empty"


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        slug(3)  # type: ignore[arg-type]
    assert caught.value.code == "name_wrong_type"


def test_long_names_stay_distinct_and_within_the_limit() -> None:
    first, second = slug("x" * 100 + "a"), slug("x" * 100 + "b")
    assert first != second
    assert len(first) <= 63
    assert first == slug("x" * 100 + "a")


def test_a_child_is_its_parent_and_one_component_more() -> None:
    assert child_ref("stage", "run:p.r", "train") == "stage:p.r.train"
    assert child_ref("sample", "batch:p.r.s.b", "x") == "sample:p.r.s.b.x"
    with pytest.raises(ValidationError):
        child_ref("sample", "sample:p.r.s.b.x", "y")


def test_an_example_of_what_to_write_is_of_the_kind_that_is_asked_for() -> None:
    with pytest.raises(ValidationError, match=r"'dataset:iris\.v2'"):
        parse_ref("mnist", field="dataset_ref")
    with pytest.raises(ValidationError, match="'artifact:iris-svm"):
        parse_ref("model", kind="artifact", field="artifact_ref")
