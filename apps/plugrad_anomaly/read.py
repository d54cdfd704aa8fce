"""Files, plain or compressed, and standard input as chunks of whole lines that know where they come from."""

import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly import compression
from plugrad_anomaly.compression import READ_BYTES, Decompressed, Joined, read_as_far, read_some

NEWLINE = 10
SEARCHED_BYTES = 1 << 16  # at the end of a chunk, for its last newline, before all of it is
MOST_RECORD_BYTES = (
    1 << 24
)  # of a line, or a record of several, that has no end after so many bytes, the rest is skipped
MOST_LINES = 1 << 17  # of a chunk: what is kept of a line takes more memory than a short one itself
HEAD_BYTES = 1 << 16  # how much of a file is looked at to tell text from binary

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
    skipped: so many bytes behind `data` belong to its last line, which was too long to be kept (MOST_RECORD_BYTES).
    numbers, offsets: int64 (lines,), where the lines of `data` come from, if it was rewritten (see records.py);
        length: so many bytes of the file it then stands for.
    """

    data: np.ndarray
    path: str
    offset: int
    first_line: int
    skipped: int = 0
    numbers: np.ndarray | None = None
    offsets: np.ndarray | None = None
    length: int | None = None

    def line_numbers(self, count):
        """The number of each of the `count` lines of `data` in the file: int64 (count,)."""
        return self.first_line + np.arange(count) if self.numbers is None else self.numbers

    def line_offsets(self, starts):
        """Where lines that start at `starts` in `data` start in the (decompressed) file: int64."""
        return self.offset + starts if self.offsets is None else self.offsets

    @property
    def end(self) -> int:
        """Position behind the chunk in the (decompressed) file, in bytes: the next one's offset."""
        return self.offset + (self.data.size if self.length is None else self.length) + self.skipped


def last_line_end(data):
    """Where bytes that start a line may be cut: behind the last newline, 0 where there is none."""
    newlines = np.flatnonzero(data[-SEARCHED_BYTES:] == NEWLINE)
    if not newlines.size and data.size > SEARCHED_BYTES:
        newlines = np.flatnonzero(data == NEWLINE)
        return int(newlines[-1]) + 1 if newlines.size else 0
    return max(0, data.size - SEARCHED_BYTES) + int(newlines[-1]) + 1 if newlines.size else 0


def read_chunks(
    path, chunk_bytes=4 << 20, boundary=last_line_end, expected="lines of text", start=(0, 1), opened=None, reader=None
) -> Iterator[Chunk]:
    """Yield the lines of a file, in order, as Chunks of about chunk_bytes bytes.

    path: a file, plain, gzip, zst, bzip2 or xz (told by its first bytes, not by its name; members may follow one
        another), or "-" for standard input.
    chunk_bytes: how much is read at a time. A longer line is kept whole, up to MOST_RECORD_BYTES, so that memory is
        bounded whatever is in the file.
    boundary: function of uint8 (bytes,) that start a record: the last position at which they may be cut, 0 for none.
        Records of several lines, such as rows of CSV with quoted line ends, have their own. None: behind lines.
    expected: what the file should hold, for messages.
    start: (offset, line) where to begin, as `end` of a Chunk and the number of the line behind it: a plain file is
        read from there, a compressed one is decompressed up to it. The chunks are those of a reading from the start.
    opened: called with the raw file once it is open; its `tell()` says how far reading has come in it.
    reader: name of a log reader, whose lines are read in place of the file's own.

    Raises InputError, at the first step of the iteration, where the file is missing, unreadable, a folder,
    empty or binary, wherever a compressed stream turns out to be cut or damaged, and at the end of a file that
    became shorter while it was read.
    """
    if chunk_bytes < 1:
        raise ValueError(f"chunk_bytes must be at least 1, got {chunk_bytes}")
    shown = _shown(path)
    offset, line = start
    with open_bytes(path, opened, reader) if offset else open_text(path, expected, opened, reader) as stream:
        _skip(stream, offset, shown)
        yield from _cut(stream, shown, chunk_bytes, boundary or last_line_end, offset, line)
        _check_length(_innermost(stream), shown)


def open_text(path, expected="lines of text", opened=None, reader=None) -> io.BufferedReader:
    """`open_bytes` for a file that must look like text; expected: what it should hold, for the message.

    Raises InputError also where the file is empty or binary.
    """
    shown = _shown(path)
    stream = open_bytes(path, opened, reader)
    try:
        head, failure = read_as_far(stream, HEAD_BYTES, shown)
        if failure is not None and not head:
            raise failure
        _check_text(head, shown, expected)
    except BaseException:
        stream.close()
        raise
    return io.BufferedReader(Joined(head, stream, shown, failure), READ_BYTES)


def open_bytes(path, opened=None, reader=None) -> io.BufferedReader:
    """Open a file for reading bytes; a compressed one is decompressed on the way, unless a log reader reads it.

    path, opened, reader: as in `read_chunks`. Closing what comes back closes the file, but never standard input.

    Raises InputError where the file is missing, unreadable or a folder; reading from what comes back raises
    it where a compressed stream is cut or damaged.
    """
    shown = _shown(path)
    if reader is not None:
        from plugrad_anomaly.readers import open_lines

        return io.BufferedReader(open_lines(reader, path), READ_BYTES)
    if path == "-":
        # Not the buffered reader: Python cannot end while a thread that waits for input holds its lock.
        file = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
    else:
        try:
            file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by the reader that is returned
        except OSError as error:
            raise cannot_open(error, shown) from None
    if opened is not None:
        opened(file)
    # Two reads may be needed: a pipe hands over what is there, be it a single byte.
    head = read_some(file, compression.HEAD_BYTES, shown)
    kind = compression.kind_of(head)
    raw = Joined(head, file, shown) if kind is None else Decompressed(kind, head, file, shown)
    return io.BufferedReader(raw, READ_BYTES)


def _shown(path):
    return "<stdin>" if path == "-" else str(path)


def cannot_open(error, shown):
    """The InputError for an OSError of opening a file."""
    if isinstance(error, FileNotFoundError):
        return InputError("no such file; expected a log file, plain or compressed, or - for standard input", path=shown)
    if isinstance(error, IsADirectoryError):
        return InputError("is a folder; expected a file", path=shown)
    if isinstance(error, PermissionError):
        return InputError("permission denied; expected a file that may be read", path=shown)
    return InputError(f"cannot be opened ({error.strerror}); expected a readable file", path=shown)


def _check_text(head, shown, expected):
    if not head:
        raise InputError(f"is empty; expected {expected}", path=shown)
    data = np.frombuffer(head, dtype=np.uint8)
    if _is_utf16(data):
        raise InputError(
            f"is text in UTF-16; expected {expected} in an 8-bit code such as UTF-8 "
            "(iconv -f UTF-16 -t UTF-8 converts it)",
            path=shown,
        )
    zeros = np.count_nonzero(data == 0)
    controls = np.count_nonzero(_CONTROL[data])
    if zeros * 1000 > data.size or controls * 10 > data.size * 3:
        raise InputError(
            f"looks binary ({zeros} NUL and {controls - zeros} other control bytes in the first "
            f"{data.size}); expected {expected}",
            path=shown,
        )


def _is_utf16(data):
    """Whether text begins with a mark of UTF-16, or every second byte of most of it is 0."""
    pairs = data[: data.size // 2 * 2].reshape(-1, 2)
    share = (pairs == 0).mean(axis=0) if len(pairs) else np.zeros(2)
    return data[:2].tobytes() in (b"\xff\xfe", b"\xfe\xff") or (share.max() > 0.5 and share.min() < 0.1)


def _skip(stream, offset, shown):
    """Go on to `offset` in the (decompressed) file."""
    raw = stream.raw
    if offset and type(raw) is Joined and raw.file.seekable():
        raw.head = b""
        raw.file.seek(offset)
        return
    while offset:
        part = read_some(stream, min(offset, READ_BYTES), shown)
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
        part, failure = read_as_far(stream, wanted, shown)
        size = carried.size + len(part)
        buffer[carried.size : size] = np.frombuffer(part, dtype=np.uint8)
        at_end = failure is None and len(part) < wanted
        cut = size if at_end else boundary(buffer[:size])
        carried, skipped = buffer[cut:size], 0
        if not cut and size >= MOST_RECORD_BYTES and failure is None:
            cut, (skipped, carried) = size, _skip_line(stream, shown)
        behind = offset + cut
        for piece in _pieces(buffer[:cut], boundary):
            chunk = Chunk(piece, shown, offset, first_line, skipped if offset + piece.size == behind else 0)
            yield chunk
            offset = chunk.end
            first_line += int(np.count_nonzero(piece == NEWLINE)) + (chunk.skipped > 0)
        if failure is not None:  # the whole lines before the damage are good
            raise failure
        if at_end:
            return


def _pieces(data, boundary):
    """Yield data, uint8 of whole records, in pieces of about MOST_LINES lines at most, each with memory of its own."""
    while np.count_nonzero(data == NEWLINE) > MOST_LINES:
        limit = int(np.flatnonzero(data == NEWLINE)[MOST_LINES - 1]) + 1
        cut = boundary(data[:limit])
        if not cut:
            break
        yield data[:cut].copy()
        data = data[cut:]
    if data.size:
        yield data


def _skip_line(stream, shown):
    """(how many bytes the rest of a line has, with its newline; uint8 of what was read behind it)."""
    skipped = 0
    while part := read_some(stream, READ_BYTES, shown):
        line_end = part.find(b"\n") + 1
        skipped += line_end or len(part)
        if line_end:
            return skipped, np.frombuffer(part[line_end:], dtype=np.uint8)
    return skipped, np.empty(0, dtype=np.uint8)


def _innermost(stream):
    """The file itself behind the streams that were put around it."""
    while inner := getattr(stream, "raw", None) or getattr(stream, "file", None):
        stream = inner
    return stream


def _check_length(file, shown):
    """Raise InputError where a plain file has become shorter than what was read of it."""
    try:
        length, read = os.fstat(file.fileno()).st_size, file.tell()
    except (OSError, ValueError):
        return  # a pipe has no length
    if length < read:
        raise InputError(
            f"became shorter while it was read, {length:,} bytes after {read:,}; expected a file that only grows",
            path=shown,
        )
