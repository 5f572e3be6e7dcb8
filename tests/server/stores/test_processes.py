"""Several processes on one store: none loses what another wrote to the same address-of-record."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ringback.protocol.registration.binding import Binding, Change, ChangeKind
from ringback.server.stores.base import StoreBusy
from ringback.server.stores.checkpoint import Checkpointer
from ringback.server.stores.sqlite import SqliteStore

AOR = "sip:bob@example.test"
EACH = 60
WORKERS = 3


def work(path: str, name: str) -> None:
    """Adds EACH contacts one by one, replacing each by one with a higher CSeq."""
    with SqliteStore(path, busy_wait=0.0) as store:
        for number in range(EACH):
            for cseq in (1, 2):
                while True:
                    try:
                        store.bindings(AOR, 0.0)  # an earlier request of the turn
                        store.begin()
                        break
                    except StoreBusy:
                        continue
                uri = f"sip:{number}@{name}.test"
                old = [it for it in store.bindings(AOR, 0.0) if it.uri == uri]
                assert len(old) == cseq - 1
                new = Binding(AOR, uri, expires_at=1.0, cseq=cseq)
                store.apply(AOR, [Change(ChangeKind.UPDATE, new, old[0]) if old else Change(ChangeKind.ADD, new)])
                store.commit()


@pytest.mark.row("REG-1", part="location service")
@pytest.mark.row("REG-3")
def test_processes_do_not_lose_each_others_changes(path: str) -> None:
    SqliteStore(path).close()
    checkpointer = Checkpointer(path, interval=0.01, limit=100)
    checkpointer.start()
    names = [f"w{number}" for number in range(WORKERS)]
    workers = [subprocess.Popen([sys.executable, __file__, path, name]) for name in names]
    try:
        assert [it.wait(30.0) for it in workers] == [0] * WORKERS
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        checkpointer.stop()
    with SqliteStore(path) as store:
        found = {(it.uri, it.cseq) for it in store.bindings(AOR, 0.0)}
    assert found == {(f"sip:{number}@{name}.test", 2) for number in range(EACH) for name in names}


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2])
