"""Files, gzip archives and standard input as chunks of whole lines that know where they come from."""

import io
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from plugrad.errors import InputError

NEWLINE = 10
GZIP_MAGIC = b"\x1f\x8b"
SEARCHED_BYTES = 1 << 16  # at the end of a chunk, for its last newline, before all of it is
HEAD_BYTES = 1 << 16  # how much of a file is looked at to tell text from binary
READ_BYTES = 1 << 17
MOST_BYTES_AT_ONCE = 1 << 20

# Text does hold these: backspace to carriage return, and the escape of coloured terminal output.
_TEXT_CONTROLS = (8, 9, 10, 11, 12, 13, 27)
_CONTROL = np.zeros(256, dtype=bool)
_CONTROL[:32] = _CONTROL[127] = True
_CONTROL[list(_TEXT_CONTROLS)] = False


@dataclass(frozen=True)
class Chunk:
    """Whole lines of one file, in its order.

    data: uint8 (bytes,), at least one byte; it ends with a newline, except that the last line of a file may
        lack its own. Each chunk has memory of its own, so it may be kept.
    path: the path as it was given; "<stdin>" for standard input.
    offset: position of data[0] in the (decompressed) file, in bytes.
    first_line: number of the line that starts at data[0], counted from 1 as editors and `wc -l` do.
    """

    data: np.ndarray
    path: str
    offset: int
    first_line: int

    @property
    def end(self) -> int:
        """Position behind the chunk in the (decompressed) file, in bytes: the next one's offset."""
        return self.offset + self.data.size


def last_line_end(data):
    """Where bytes that start a line may be cut: behind the last newline, 0 where there is none."""
    newlines = np.flatnonzero(data[-SEARCHED_BYTES:] == NEWLINE)
    if not newlines.size and data.size > SEARCHED_BYTES:
        newlines = np.flatnonzero(data == NEWLINE)
        return int(newlines[-1]) + 1 if newlines.size else 0
    return max(0, data.size - SEARCHED_BYTES) + int(newlines[-1]) + 1 if newlines.size else 0


def read_chunks(path, chunk_bytes=4 << 20, boundary=last_line_end, start=(0, 1), opened=None) -> Iterator[Chunk]:
    """Yield the lines of a file, in order, as Chunks of about chunk_bytes bytes.

    path: a file, plain or gzip (told by its first bytes, not by its name; members may follow one another), or
        "-" for standard input.
    chunk_bytes: how much is read at a time. A longer line is kept whole, so that memory is bounded by a small
        multiple of the longer of the two.
    start: (offset, line) where to begin, as `end` of a Chunk and the number of the line behind it: a plain file is
        read from there, a compressed one is decompressed up to it. The chunks are those of a reading from the start.
    opened: called with the raw file once it is open; its `tell()` says how far reading has come in it.

    Raises InputError, at the first step of the iteration, where the file is missing, unreadable, a folder,
    empty or binary, and wherever a gzip stream turns out to be cut or damaged.
    """
    if chunk_bytes < 1:
        raise ValueError(f"chunk_bytes must be at least 1, got {chunk_bytes}")
    shown = _shown(path)
    offset, line = start
    with open_bytes(path, opened) if offset else open_text(path, opened=opened) as stream:
        _skip(stream, offset, shown)
        yield from _cut(stream, shown, chunk_bytes, boundary, offset, line)


def open_text(path, expected="lines of text", opened=None) -> io.BufferedReader:
    """`open_bytes` for a file that must look like text; expected: what it should hold, for the message.

    Raises InputError also where the file is empty or binary.
    """
    shown = _shown(path)
    stream = open_bytes(path, opened)
    try:
        head, failure = _read_part(stream, HEAD_BYTES, shown)
        if failure is not None and not head:
            raise failure
        _check_text(head, shown, expected)
    except BaseException:
        stream.close()
        raise
    return io.BufferedReader(_Joined(head, stream, shown), READ_BYTES)


def open_bytes(path, opened=None) -> io.BufferedReader:
    """Open a file for reading bytes; a gzip file is decompressed on the way.

    path: as in `read_chunks`. Closing what comes back closes the file, but never standard input.

    Raises InputError where the file is missing, unreadable or a folder; reading from what comes back raises
    it where a gzip stream is cut or damaged.
    """
    shown = _shown(path)
    if path == "-":
        # Not the buffered reader: Python cannot end while a thread that waits for input holds its lock.
        file = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
    else:
        try:
            file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by the reader that is returned
        except OSError as error:
            raise _cannot_open(error, shown) from None
    if opened is not None:
        opened(file)
    # Two reads may be needed: a pipe hands over what is there, be it a single byte.
    head = _read(file, len(GZIP_MAGIC), shown)
    kind = _Gunzip if head == GZIP_MAGIC else _Joined
    return io.BufferedReader(kind(head, file, shown), READ_BYTES)


def _shown(path):
    return "<stdin>" if path == "-" else str(path)


def _cannot_open(error, shown):
    if isinstance(error, FileNotFoundError):
        return InputError("no such file; expected a log file, plain or gzip, or - for standard input", path=shown)
    if isinstance(error, IsADirectoryError):
        return InputError("is a folder; expected a file", path=shown)
    if isinstance(error, PermissionError):
        return InputError("permission denied; expected a file that may be read", path=shown)
    return InputError(f"cannot be opened ({error.strerror}); expected a readable file", path=shown)


def _read(file, size, shown, parts=None):
    """Up to `size` bytes; fewer only at the end of the file. parts: a list that has what was read where this raises."""
    parts = [] if parts is None else parts
    # One system call at a time: Ctrl-C that comes between two of them is seen before the next one waits for data.
    read = getattr(file, "read1", file.read)
    while size:
        try:
            part = read(min(size, MOST_BYTES_AT_ONCE))
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror}); expected a readable file", path=shown) from None
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _read_part(stream, size, shown):
    """(up to `size` bytes, None), or (what could be read, the InputError that comes behind it)."""
    parts = []
    try:
        _read(stream, size, shown, parts)
    except InputError as error:
        return b"".join(parts), error
    return b"".join(parts), None


class _Joined(io.RawIOBase):
    """Bytes that were already taken from a file, followed by the rest of it.

    This is `peek` for any length and for pipes too, which cannot seek.
    """

    def __init__(self, head, file, shown=""):
        self.head, self.file, self.shown = head, file, shown

    def readable(self):
        return True

    def take(self, size):
        """Some bytes of the file, at most `size`; none at its end."""
        if self.head:
            part, self.head = self.head[:size], self.head[size:]
            return part
        return _read(self.file, size, self.shown)

    def readinto(self, buffer):
        part = self.take(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def close(self):
        if not self.closed and not _is_standard_input(self.file):
            self.file.close()
        super().close()


def _is_standard_input(file):
    buffer = getattr(sys.stdin, "buffer", None)
    return buffer is not None and file in (buffer, getattr(buffer, "raw", None))


class _Gunzip(_Joined):
    """The decompressed bytes of a file of gzip members, one after another.

    The gzip module would do, but does not tell how far into the file it was when it failed.
    """

    def __init__(self, head, file, shown):
        super().__init__(head, file, shown)
        self.member = zlib.decompressobj(wbits=31)
        self.waiting = b""  # compressed bytes that were read but not used yet
        self.position = 0  # how many compressed bytes were read

    def readinto(self, buffer):
        while True:
            if self.member.eof and not self._next_member():
                return 0
            if not self.waiting and not self._refill():
                raise InputError(
                    f"the gzip stream ends early at byte {self.position} of {self.shown}; the file is truncated",
                    path=self.shown,
                )
            part = self._decompress(len(buffer))
            if part:
                buffer[: len(part)] = part
                return len(part)

    def _refill(self):
        self.waiting = self.take(READ_BYTES)
        self.position += len(self.waiting)
        return bool(self.waiting)

    def _next_member(self):
        """Whether another member follows; zero bytes are padding, as tape archives leave it."""
        self.waiting = self.member.unused_data
        while not (rest := self.waiting.lstrip(b"\0")):
            if not self._refill():
                return False
        self.waiting = rest
        self.member = zlib.decompressobj(wbits=31)
        return True

    def _decompress(self, size):
        try:
            part = self.member.decompress(self.waiting, size)
        except zlib.error as error:
            reason = str(error).rpartition(": ")[2]
            raise InputError(
                f"the gzip stream is damaged before byte {self.position} of {self.shown} ({reason}); "
                "expected a whole gzip file",
                path=self.shown,
            ) from None
        self.waiting = self.member.unconsumed_tail
        return part


def _check_text(head, shown, expected):
    if not head:
        raise InputError(f"is empty; expected {expected}", path=shown)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"looks binary (UTF-16); expected {expected} in an 8-bit code such as UTF-8", path=shown)
    data = np.frombuffer(head, dtype=np.uint8)
    zeros = np.count_nonzero(data == 0)
    controls = np.count_nonzero(_CONTROL[data])
    if zeros * 1000 > data.size or controls * 10 > data.size * 3:
        raise InputError(
            f"looks binary ({zeros} NUL and {controls - zeros} other control bytes in the first "
            f"{data.size}); expected {expected}",
            path=shown,
        )


def _skip(stream, offset, shown):
    """Go on to `offset` in the (decompressed) file."""
    raw = stream.raw
    if offset and type(raw) is _Joined and raw.file.seekable():
        raw.head = b""
        raw.file.seek(offset)
        return
    while offset:
        part = _read(stream, min(offset, MOST_BYTES_AT_ONCE), shown)
        if not part:
            return
        offset -= len(part)


def _cut(stream, shown, chunk_bytes, boundary, offset, first_line):
    carried = np.empty(0, dtype=np.uint8)  # the start of a record whose end was not read yet
    while True:
        # Reading at least as much as is carried keeps the copying linear in the length of a long line; reading up to
        # multiples of chunk_bytes gives the same chunks wherever it began.
        wanted = max(chunk_bytes, carried.size) - (offset + carried.size) % chunk_bytes
        buffer = np.empty(carried.size + wanted, dtype=np.uint8)
        buffer[: carried.size] = carried
        part, failure = _read_part(stream, wanted, shown)
        size = carried.size + len(part)
        buffer[carried.size : size] = np.frombuffer(part, dtype=np.uint8)
        at_end = failure is None and len(part) < wanted
        cut = size if at_end else boundary(buffer[:size])
        if cut:
            data = buffer[:cut]
            yield Chunk(data, shown, offset, first_line)
            offset += cut
            first_line += int(np.count_nonzero(data == NEWLINE))
        if failure is not None:  # the whole lines before the damage are good
            raise failure
        if at_end:
            return
        carried = buffer[cut:size]
