"""Scopes that are opened first and entered later: what is current in their blocks and behind them, and no ring."""

from __future__ import annotations

import threading

from capturing import Capturing


def test_a_run_whose_stage_was_opened_before_it_is_entered_can_be_left(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    run = recorder.run("a")
    train = run.stage("train")
    with run:
        assert recorder.current_deployment() is None
        assert recorder.innermost() is run
        with train:
            assert recorder.innermost() is train
        assert recorder.innermost() is run
    assert recorder.current_run() is None


def test_runs_that_are_opened_together_are_entered_one_after_the_other(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    one, two = recorder.run("one"), recorder.run("two")
    with one:
        assert recorder.current_run() is one
    assert recorder.current_run() is two
    with two:
        assert recorder.current_run() is two
    assert recorder.current_run() is None


def test_behind_a_block_is_current_what_was_so_before_it(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    with recorder.run("a") as run:
        later, deployment = run.stage("later"), recorder.deployment("d")
        with run.stage("package") as package:
            with deployment:
                assert recorder.current_deployment() is deployment
                assert recorder.current_run() is run
            assert recorder.innermost() is package
            with later:
                assert recorder.innermost() is later
            assert recorder.innermost() is package
        assert recorder.innermost() is run
    assert recorder.current.innermost() is None


def test_what_was_current_before_a_block_may_be_closed_in_it(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    with recorder.run("a") as run:
        deployment = recorder.deployment("d")
        stage = run.stage("package")
        with deployment:
            stage.close()
        assert recorder.innermost() is run


def test_a_deployment_entered_in_a_run_of_another_thread_is_within_it(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    deployment = recorder.deployment("d")
    seen: list[object] = []

    def work() -> None:
        with recorder.run("a") as run:
            with deployment:
                seen.append(recorder.current_run() is run)
            seen.append(recorder.innermost() is run)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True, True]
