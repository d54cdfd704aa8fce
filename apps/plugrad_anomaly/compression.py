"""Compressed files as streams of their content: gzip, Zstandard, bzip2, xz, told by their first bytes.

The standard library's file classes would do for some of these, but do not tell how far into a file they were when
they failed, and stop at the first member. Memory is bounded whatever a file expands to: a decompressor is asked for a
limited number of bytes at a time.
"""

import bz2
import io
import lzma
import re
import sys
import zlib

from plugrad.errors import InputError

READ_BYTES = 1 << 17
MOST_BYTES_AT_ONCE = 1 << 20
# A few bytes of Zstandard may stand for 128 KiB, and its library gives all that its input holds: so many bytes of input
# are at most some 32 MiB of output.
ZSTD_PIECE = 1 << 10
ZSTD_WINDOW = 1 << 27  # what the library's own tools accept
XZ_MEMORY = 1 << 28
HEAD_BYTES = 10  # as many as the longest of the patterns of KINDS needs


class _Zlib:
    def __init__(self):
        self.inner, self.waiting = zlib.decompressobj(wbits=31), b""

    def decompress(self, data, size):
        part = self.inner.decompress(self.waiting + data, size)
        self.waiting = self.inner.unconsumed_tail
        return part

    needs_input = property(lambda self: not self.waiting)
    eof = property(lambda self: self.inner.eof)
    unused_data = property(lambda self: self.inner.unused_data)


class _Zstandard:
    def __init__(self):
        import zstandard

        self.inner = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
        self.waiting, self.ready = b"", b""

    def decompress(self, data, size):
        self.waiting += data
        while not self.ready and self.waiting and not self.inner.eof:
            piece, self.waiting = self.waiting[:ZSTD_PIECE], self.waiting[ZSTD_PIECE:]
            self.ready = self.inner.decompress(piece)
        part, self.ready = self.ready[:size], self.ready[size:]
        return part

    needs_input = property(lambda self: not self.ready and not self.waiting)
    eof = property(lambda self: self.inner.eof and not self.ready)
    unused_data = property(lambda self: self.inner.unused_data + self.waiting)


# name -> (pattern of the first bytes, maker of a decompressor for one member)
KINDS = {
    "gzip": (rb"\x1f\x8b", _Zlib),
    "zst": (rb"\x28\xb5\x2f\xfd", _Zstandard),
    "bzip2": (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", bz2.BZ2Decompressor),
    "xz": (rb"\xfd7zXZ\x00", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)),
}


def kind_of(head):
    """Which of KINDS a file is that begins with these bytes (HEAD_BYTES of them), or None."""
    return next((name for name, (pattern, _) in KINDS.items() if re.match(pattern, head)), None)


def read_some(file, size, shown, parts=None):
    """Up to `size` bytes of a file; fewer only at its end. Raises InputError where it cannot be read.

    parts: a list that then has what could be read.
    """
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


def read_as_far(file, size, shown):
    """(up to `size` bytes of a file, None), or (what could be read, the InputError that comes behind it)."""
    parts = []
    try:
        read_some(file, size, shown, parts)
    except InputError as error:
        return b"".join(parts), error
    return b"".join(parts), None


class Joined(io.RawIOBase):
    """Bytes that were already taken from a file, followed by the rest of it, or by the error that reading it gave.

    This is `peek` for any length and for pipes too, which cannot seek.
    """

    def __init__(self, head, file, shown="", failure=None):
        self.head, self.file, self.shown, self.failure = head, file, shown, failure

    def readable(self):
        """Yes."""
        return True

    def take(self, size):
        """Some bytes of the file, at most `size`; none at its end."""
        if self.head:
            part, self.head = self.head[:size], self.head[size:]
            return part
        if self.failure is not None:
            raise self.failure
        return read_some(self.file, size, self.shown)

    def readinto(self, buffer):
        """Fill the buffer as far as there is content: the number of bytes."""
        part = self.take(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def close(self):
        """Close the file, but never standard input."""
        if not self.closed and not _is_standard_input(self.file):
            self.file.close()
        super().close()


def _is_standard_input(file):
    buffer = getattr(sys.stdin, "buffer", None)
    return buffer is not None and file in (buffer, getattr(buffer, "raw", None))


class Decompressed(Joined):
    """The content of a file of compressed members, one after another.

    Reading raises InputError where a member is cut short or damaged.
    """

    def __init__(self, kind, head, file, shown):
        super().__init__(head, file, shown)
        self.kind, (_, self.new) = kind, KINDS[kind]
        self.member = self.new()
        self.position = 0  # how many compressed bytes were read

    def readinto(self, buffer):
        """Fill the buffer as far as the next step of the decompressor goes; 0 at the end of the last member."""
        waiting = b""
        while True:
            if self.member.eof:
                waiting = self._next_member()
                if waiting is None:
                    return 0
            elif not waiting and self.member.needs_input:
                waiting = self._more()
                if not waiting:
                    raise InputError(
                        f"the {self.kind} stream ends early at byte {self.position} of {self.shown}; "
                        "the file is truncated",
                        path=self.shown,
                    )
            part = self._decompress(waiting, len(buffer))
            waiting = b""
            if part:
                buffer[: len(part)] = part
                return len(part)

    def _more(self):
        part = self.take(READ_BYTES)
        self.position += len(part)
        return part

    def _next_member(self):
        """The first bytes of the member that follows, or None; zero bytes are padding, as tape archives leave it."""
        rest = self.member.unused_data
        while not (rest := rest.lstrip(b"\0")):
            rest = self._more()
            if not rest:
                return None
        self.member = self.new()
        return rest

    def _decompress(self, waiting, size):
        try:
            return self.member.decompress(waiting, size)
        except MemoryError:
            raise
        except Exception as error:  # each library has its own class for damaged data
            reason = str(error).rpartition(": ")[2]
            raise InputError(
                f"the {self.kind} stream is damaged before byte {self.position} of {self.shown} ({reason}); "
                f"expected a whole {self.kind} file",
                path=self.shown,
            ) from None
