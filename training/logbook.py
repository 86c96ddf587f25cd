"""`metrics.csv` and TensorBoard events: what a run writes after every iteration."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from training.records import METRICS, read_metrics, table, write_whole

#: Folder of the TensorBoard events in the folder of a run.
EVENTS = "events"


class Logbook:
    """Writes metrics as they come, so that a run that is killed loses at most one line.

    A resumed run drops the rows that it is about to write again. Events are written by the caller's
    thread, unlike those of `SummaryWriter`: a disk that is full is then an error here and now.

    Parameters
    ----------
    folder
        The run's.
    iteration
        The last one that counts.

    Raises
    ------
    OSError
        From every method: the disk does not take it.
    """

    def __init__(self, folder: Path, iteration: int) -> None:
        self._path = folder / METRICS
        rows = [row for row in read_metrics(self._path) if row["iteration"] <= iteration]
        self._columns = list(dict.fromkeys(["iteration", *(key for row in rows for key in row)]))
        write_whole(self._path, table(rows, self._columns).encode())
        self._file = self._path.open("a", encoding="utf-8")
        events = folder / EVENTS
        events.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        self._events = (events / name).open("wb")
        self._record = RecordWriter(self._events)
        self._put(Event(file_version="brain.Event:2"))
        # viewers forget what an earlier session wrote from here on
        start = SessionLog(status=SessionLog.START)
        self._put(Event(step=iteration + 1, session_log=start))

    def write(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Add the row of one iteration."""
        row = {"iteration": iteration, **metrics}
        new = [key for key in row if key not in self._columns]
        if new:
            self._widen(new)
        self._file.write(table([row], self._columns).partition("\n")[2])
        self._file.flush()
        values = [Summary.Value(tag=key, simple_value=value) for key, value in metrics.items()]
        self._put(Event(step=iteration, summary=Summary(value=values)))
        self._events.flush()

    def close(self) -> None:
        """Close both files; what could not be written has been reported by `write`."""
        for file in (self._file, self._events):
            with suppress(OSError):
                file.close()

    def _widen(self, columns: list[str]) -> None:
        """Give the table more columns, empty in the rows that are there."""
        self._columns += columns
        self._file.close()
        write_whole(self._path, table(read_metrics(self._path), self._columns).encode())
        self._file = self._path.open("a", encoding="utf-8")

    def _put(self, event: Event) -> None:
        event.wall_time = time.time()
        self._record.write(event.SerializeToString())
