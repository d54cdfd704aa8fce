"""One unit: the files that are scored together → ScoredRows, from the start or from where a run was interrupted."""

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from plugrad import threads
from plugrad.errors import InputError
from plugrad_anomaly.batch.ahead import ahead
from plugrad_anomaly.read import NEWLINE, read_chunks
from plugrad_anomaly.scored import ScoredRows

AHEAD = 2  # chunks that are read, and being prepared, beyond those that the threads work at


class Place(NamedTuple):
    """How far a unit is scored: files[file] up to `offset` in its (decompressed) content, where `line` starts."""

    file: int = 0
    offset: int = 0
    line: int = 1


class Reject(NamedTuple):
    """What was left out: a row (its `text` is what stood there), or a file from `line` on (None: all of it)."""

    path: str
    line: int | None
    why: str
    text: str = ""


class Step(NamedTuple):
    """What one chunk gave. lines: how many lines it had; place: behind it, None where the detector keeps no state."""

    scored: ScoredRows | None
    rejects: list
    lines: int
    place: Place | None


class Unit:
    """Scores the files of one unit; `steps` yields a Step for each chunk, `state` is what to go on from between two.

    files: paths. skip: whether rows and files that cannot be scored become rejects; they raise InputError otherwise.
    resumed: (Place, state, arrays) of the unit when it was interrupted. opened: called with each raw file. folder:
    where relative paths start, if not here; the rows keep the paths as given.
    """

    def __init__(self, detector, files, skip=False, resumed=None, opened=None, folder=None):
        self.detector, self.files, self.skip, self.opened, self.folder = detector, files, skip, opened, folder
        self.place = Place()
        self._told = threading.local()  # rejects of `prepare` belong to its chunk, whatever thread made it
        on_reject = self._reject if skip else None
        if resumed is None:
            self.stream = detector.stream(on_reject=on_reject)
        else:
            self.place, state, arrays = resumed
            self.stream = detector.stream_from(state, arrays, on_reject=on_reject)

    def state(self):
        """(Place, JSON-able mapping, name -> array) behind the last Step."""
        return self.place, *self.stream.state()

    def steps(self):
        """Yield the Steps of the unit, in order."""
        with ThreadPoolExecutor(threads.get_threads(), "plugrad-prepare") as pool:
            chunks = ahead(self._read(pool), depth=AHEAD)
            try:
                yield from self._added(chunks)
            finally:
                chunks.close()
                pool.shutdown(cancel_futures=True)
        yield self._finished()

    def _finished(self):
        self._told.rejects = rejects = []
        try:
            return Step(self.stream.finish(), rejects, 0, None)
        except InputError as error:  # a table without a row, which shows at its end
            if not self.skip:
                raise
            if self.place.file < len(self.files):  # beyond, the last one is rejected already
                rejects.append(reject_of(error, self.files[self.place.file], Place()))
            return Step(None, rejects, 0, None)

    def _added(self, chunks):
        broken = None  # the file of which nothing more can be scored
        for number, future in chunks:
            if number == broken:
                continue
            try:
                prepared, rejects, lines, place = future.result()
            except InputError as error:
                if not self.skip:
                    raise
                at = self.place if self.place.file == number else Place(number)
                broken, self.place = number, Place(number + 1)
                yield Step(None, [reject_of(error, self.files[number], at)], 0, self.place)
                continue
            self._told.rejects = rejects
            scored = self.stream.add(prepared)
            self.place = place
            yield Step(scored, rejects, lines, place)

    def _read(self, pool):
        """Yield (number of the file, Future of a prepared chunk): the next are read and prepared meanwhile."""
        first = self.place.file
        for number, path in enumerate(self.files[first:], first):
            start = (self.place.offset, self.place.line) if number == first else (0, 1)
            try:
                for chunk in self._chunks(path, start):
                    yield number, pool.submit(self._prepare, number, chunk)
            except InputError as error:
                failed = Future()
                failed.set_exception(error)
                yield number, failed

    def _prepare(self, number, chunk):
        self._told.rejects = rejects = []
        # A line whose end is missing counts; one that was too long to be kept whole has its end skipped.
        lines = int(np.count_nonzero(chunk.data == NEWLINE)) + int(chunk.data[-1] != NEWLINE)
        with threads.alone():  # each of the pool's threads has a chunk of its own
            prepared = self.stream.prepare(chunk)
        return prepared, rejects, lines, Place(number, chunk.end, chunk.first_line + lines)

    def _chunks(self, path, start):
        where = path if self.folder is None else os.path.join(self.folder, path)
        stream = self.stream
        reading = {"boundary": stream.boundary, "expected": stream.expected, "reader": stream.reader}
        for chunk in read_chunks(where, start=start, opened=self.opened, **reading):
            yield chunk if self.folder is None else replace(chunk, path=str(path))

    def _reject(self, path, line, why, text=""):
        self._told.rejects.append(Reject(str(path), line, why, text))


def reject_of(error, path, place):
    """The Reject of a file that cannot be read on."""
    where = f"{error.path}: " if error.line is None else f"{error.path}:{error.line}: "
    why = str(error).removeprefix(where)
    line = error.line if error.line is not None else place.line if place.offset else None
    return Reject("<stdin>" if path == "-" else str(path), line, why)
