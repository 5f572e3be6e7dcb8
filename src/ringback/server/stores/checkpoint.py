"""Carries what commits wrote into the WAL over to the database file, from a thread, so that no commit waits for it.

A checkpoint inside COMMIT costs 4 to 5 ms with its fsync; here it costs the stack nothing. A passive checkpoint never
makes anyone wait, but under steady writing it never reaches the end either, and the WAL would grow without bound. So
when the WAL has outgrown its limit, a second one takes the write lock for its short rest; a turn that wants to write
in those milliseconds gets StoreBusy and tries again with the next.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import final

from ringback.protocol.errors import StoreError


@final
class Checkpointer:
    """A thread with its own connection to the store at ``path``, from ``start`` to ``stop``.

    ``interval`` seconds between checkpoints; ``limit`` pages (4 KiB each) of WAL above which the WAL is made to start
    over. ``failures`` counts checkpoints that raised: the data is safe in the WAL, the next one tries again.
    """

    def __init__(self, path: str, *, interval: float = 1.0, limit: int = 4096) -> None:
        self.path = path
        self.interval = interval
        self.limit = limit
        self.failures = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread. Raises StoreError when it runs already."""
        if self._thread is not None:
            raise StoreError("the checkpointer runs already")
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="ringback-checkpoint", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after a last checkpoint. Nothing when it does not run."""
        thread = self._thread
        if thread is not None:
            self._stop.set()
            thread.join()
            self._thread = None

    def _run(self) -> None:
        while True:
            last = self._stop.wait(self.interval)
            try:
                self.run_once()
            except sqlite3.Error:
                self.failures += 1
            if last:
                return

    def run_once(self) -> int:
        """One checkpoint, in the calling thread. Returns the pages that are still in the WAL. Raises sqlite3.Error."""
        # A connection for each run: a thread that sleeps holds no file, and a database that was replaced is not missed.
        # It waits briefly for others: while it waits for readers, nobody else can write.
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=0.01)
        try:
            connection.execute("PRAGMA cache_size = -256")
            _, pages, done = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages > self.limit:
                _, pages, done = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
            return max(0, int(pages) - int(done))
        finally:
            connection.close()
