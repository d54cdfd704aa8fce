"""Following a file by its name, as `tail -F` does: over its growth, its renaming and its truncation."""

import contextlib
import hashlib
import os
import time

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.compression import read_some
from plugrad_anomaly.read import MOST_RECORD_BYTES, NEWLINE, Chunk, cannot_open

HEAD_BYTES = 1024  # of the beginning of a file: whether it is the one that was read before
MOST_BYTES = 4 << 20  # that one poll hands over
SETTLED_SECONDS = 1.0  # a record has all its lines once nothing came for so long: a trace is written at one go


class Follower:
    """Hands over the new whole lines of a file whenever it is asked.

    path: the file's name; a line without its end waits for it. A file that takes the name of the one that was read (log
    rotation) is read from its start, after the rest of the old one; so is a file that was cut or written anew in place
    (copytruncate). What is written and gone again between two calls cannot be seen.

    state: a mapping of an earlier `state()`, to go on from there: a file that was renamed meanwhile is looked for
    beside `path`. at_end: begin behind what is there already.

    boundary: where a chunk of whole lines may be cut, a function of its bytes: what is behind it, a record to which
    lines may still come, waits until the file has not grown for SETTLED_SECONDS. None: behind each line.

    lost: how often a file that was not read to its end could not be found again.

    Raises InputError where there is no such file to begin with, or it cannot be read.
    """

    def __init__(self, path, state=None, at_end=False, boundary=None):
        self.path, self.file = str(path), None
        self.boundary, self._waiting, self._growth = boundary, b"", (-1, 0.0)
        self.lost = 0
        self.offset, self.line, self.head = 0, 1, b""
        if state is not None:
            self._go_on(state)
        else:
            self._open()
            if at_end:
                self._to_end()

    @property
    def waits(self):
        """Whether whole lines wait for what may belong to them."""
        return bool(self._waiting)

    def poll(self, settled=False):
        """The Chunks of lines that came since the last call; the first of each file has offset 0.

        settled: nothing more is expected, so no line waits.
        """
        chunks = []
        while (chunk := self._next(settled)) is not None:
            chunks.append(chunk)
            if sum(chunk.data.size for chunk in chunks) >= MOST_BYTES:
                break
        return chunks

    def state(self):
        """What tells a later process where to go on: a JSON-able mapping."""
        inode = os.fstat(self.file.fileno()).st_ino if self.file else None
        digest = hashlib.sha256(self.head).hexdigest()
        return {"inode": inode, "offset": self.offset, "line": self.line, "head_bytes": len(self.head), "head": digest}

    def close(self):
        """Close the file."""
        if self.file:
            self.file.close()
            self.file = None

    def _open(self):
        try:
            self.file = open(self.path, "rb", buffering=0)  # noqa: SIM115 - kept open between two polls
        except OSError as error:
            raise cannot_open(error, self.path) from None
        self.offset, self.line, self.head = 0, 1, b""

    def _go_on(self, state):
        for path in [self.path, *self._beside()]:
            with contextlib.suppress(OSError), open(path, "rb") as file:
                head = file.read(state["head_bytes"])
                known = hashlib.sha256(head).hexdigest() == state["head"] and len(head) == state["head_bytes"]
                about = os.fstat(file.fileno())
                if about.st_ino == state["inode"] and known and about.st_size >= state["offset"]:
                    self.file = open(path, "rb", buffering=0)  # noqa: SIM115
                    self.offset, self.line, self.head = state["offset"], state["line"], head
                    return
        self.lost += state["offset"] > 0
        self._reopen()

    def _beside(self):
        folder, name = os.path.split(os.path.abspath(self.path))
        with contextlib.suppress(OSError):
            return [os.path.join(folder, other) for other in sorted(os.listdir(folder)) if other.startswith(name + ".")]
        return []

    def _to_end(self):
        """Behind the last line end; counts the lines before it."""
        while True:
            part = read_some(self.file, MOST_BYTES, self.path)
            self._note_head(part, self.offset)
            whole = part.rfind(b"\n") + 1
            self.line += part.count(b"\n", 0, whole)
            self.offset += whole
            if len(part) < MOST_BYTES or not whole:
                return
            self.file.seek(self.offset)

    def _next(self, settled):
        """The next Chunk, from this file or the one that took its name; None where nothing is new."""
        if self.file is None and not self._reopen():
            return None
        if self._was_cut():
            if self._waiting:
                return self._handed_over(self._waiting)
            self._leave()
            return self._next(settled)
        chunk = self._read(settled)
        if chunk is not None or not self._was_replaced():
            return chunk
        # Between the last read and the look at the name the old file may have got its last lines.
        chunk = self._read(settled=True, to_the_end=True)
        if chunk is None:
            self._leave()
            return self._next(settled)
        return chunk

    def _leave(self):
        self.close()
        self.offset, self.line, self.head = 0, 1, b""

    def _reopen(self):
        try:
            self._open()
        except InputError:
            return False  # between a renaming and the next file there may be none of the name
        return True

    def _was_cut(self):
        """Whether the file is shorter than what was read of it, or begins otherwise than it did."""
        if os.fstat(self.file.fileno()).st_size < self.offset:
            return True
        return bool(self.head) and os.pread(self.file.fileno(), len(self.head), 0) != self.head

    def _was_replaced(self):
        try:
            return not os.path.samestat(os.stat(self.path), os.fstat(self.file.fileno()))
        except OSError:
            return False

    def _read(self, settled, to_the_end=False):
        """A Chunk of whole lines from here; to_the_end: also of a last line without its end."""
        self._waiting = b""
        self.file.seek(self.offset)
        data = read_some(self.file, MOST_BYTES, self.path)
        while data and b"\n" not in data and len(data) < MOST_RECORD_BYTES and len(data) % MOST_BYTES == 0:
            more = read_some(self.file, MOST_BYTES, self.path)
            if not more:
                break
            data += more
        whole = data.rfind(b"\n") + 1
        if not whole and (to_the_end or len(data) >= MOST_RECORD_BYTES):
            whole = len(data)
        if not whole:
            return None
        if self.boundary is not None and not settled and not self._settled():
            cut = self.boundary(np.frombuffer(data[:whole], np.uint8))
            if not cut and len(data) >= MOST_BYTES:
                cut = whole
            self._waiting, whole = data[cut:whole], cut
        self._note_head(data, self.offset)
        return self._handed_over(data[:whole]) if whole else None

    def _handed_over(self, lines):
        """The Chunk of some bytes that follow those handed over before."""
        if lines is self._waiting:
            self._waiting = b""
        chunk = Chunk(np.frombuffer(lines, dtype=np.uint8).copy(), self.path, self.offset, self.line)
        self.offset = chunk.end
        self.line += int(np.count_nonzero(chunk.data == NEWLINE))
        return chunk

    def _settled(self):
        size, now = os.fstat(self.file.fileno()).st_size, time.monotonic()
        if size != self._growth[0]:
            self._growth = size, now
        return now - self._growth[1] >= SETTLED_SECONDS

    def _note_head(self, data, offset):
        if offset <= len(self.head) < HEAD_BYTES:
            self.head = (self.head[:offset] + data)[:HEAD_BYTES]
