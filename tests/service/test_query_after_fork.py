"""Asking in processes that were forked: gRPC does not survive a fork, so that this is said instead of tried."""

from __future__ import annotations

from served import Served

CAPTURE = """
    with ctx.run("forking") as run:
        run.metric("loss", 1.0)
"""


def test_a_child_forked_before_its_parent_asked_can_ask(served: Served) -> None:
    printed = served.run(
        CAPTURE
        + """
    for _ in range(3):
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            same = len(ctx.list_runs()) == 1 and len(list(ctx.record_store.scan())) == 1
            ctx.close()
            os._exit(0 if same else 1)
        print(os.waitpid(child, 0)[1])
    print(len(ctx.list_runs()))
    """
    )
    assert printed.split() == ["0"] * 3 + ["1"]


def test_a_child_forked_after_its_parent_asked_is_told_so_and_can_capture(served: Served) -> None:
    printed = served.run(
        CAPTURE
        + """
    from contexta import errors
    scan = ctx.record_store.scan()
    next(scan)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            ctx.list_runs()
        except errors.LifecycleError as error:
            with ctx.run("in-child") as run:
                run.metric("loss", 2.0)
            del scan
            ctx.close()
            os._exit(0 if error.code == "asked_before_fork" else 1)
        os._exit(2)
    print(os.waitpid(child, 0)[1])
    scan.close()
    print(*sorted(each.name for each in ctx.list_runs()))
    """
    )
    assert printed.splitlines() == ["0", "forking in-child"]


def test_children_forked_while_threads_ask_never_hang_nor_crash(served: Served) -> None:
    printed = served.run(
        CAPTURE
        + """
    import threading
    from contexta import errors
    ended = threading.Event()
    ctx.list_runs()  # else a child may be forked while a thread imports, and wait for that for ever

    def ask():
        while not ended.is_set():
            ctx.list_runs()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for each in threads:
        each.start()
    for _ in range(40):
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            try:
                ctx.list_runs()
            except errors.LifecycleError:
                ctx.close()
                os._exit(0)
            os._exit(1)
        print(os.waitpid(child, 0)[1])
    ended.set()
    for each in threads:
        each.join()
    """
    )
    assert printed.split() == ["0"] * 40
