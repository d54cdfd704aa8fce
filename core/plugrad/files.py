"""Files written so that a reader, now or after a crash, finds the old content or the new one and nothing
between; JSON read so that a stranger's file can do no harm.
"""

import errno
import io
import json
import math
import os
import re
import secrets
import stat
from collections import Counter
from contextlib import contextmanager, suppress

import numpy as np

from plugrad.errors import InputError

_REASONS = {
    errno.ENOENT: "no such file or folder",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than allowed",
    errno.EISDIR: "is a folder",
    errno.ENOTDIR: "a part of the path is not a folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "its symbolic links go in a circle",
    errno.EPIPE: "its reader has gone away",
    errno.ENXIO: "nothing is connected to it",
    errno.EMFILE: "too many files are open",
}
# Behind these names stands a stream that is open already. It may be a regular file, but replacing that file,
# or opening it a second time, would lose what else is written to the stream.
_STREAM = re.compile(r"/dev/(?:(stdin|stdout|stderr)|fd/(\d+))|/proc/self/fd/(\d+)")
_STANDARD = {"stdin": 0, "stdout": 1, "stderr": 2}
MAX_JSON_DEPTH = 64
# A string ends at its quote or at the end of the text; the possessive loops keep hostile text from making
# the search quadratic.
_JSON_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def plain_reason(error):
    """Return why the operating system refused, in plain words: OSError -> str."""
    return _REASONS.get(error.errno) or os.strerror(error.errno or 0).lower()


def is_special(path):
    """Tell whether writing goes to `path` itself (a FIFO, a device, an open stream) instead of replacing it.

    Raises InputError where the path is a folder or cannot be looked at.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InputError(plain_reason(error), path) from None
    if stat.S_ISDIR(mode):
        raise InputError("is a folder; the name of a file was expected", path)
    return not stat.S_ISREG(mode) or _stream_number(path) is not None


def refuse_existing(path, force):
    """Raise InputError if `path` is a file that writing would replace and `force` is false.

    A special file (/dev/stdout, a FIFO) is not replaced by writing to it and so never refused; a folder is.
    """
    if not is_special(path) and os.path.lexists(path) and not force:
        raise InputError("exists; give --force to replace it", path)


@contextmanager
def atomic_write(path):
    """Give a binary file object whose content becomes that of `path` when the block ends without exception.

    The content goes to a temporary file in the same folder, is forced to the disk and then takes the place of
    `path`, with the permissions of the file it replaces; a symbolic link stays and its target is replaced.
    On any exception, KeyboardInterrupt included, the temporary file is removed and `path` is left as it was.
    A special file (FIFO, /dev/null, /dev/stdout) is written to directly.

    Raises InputError, with the path and a plain reason, where the operating system refuses: folder missing,
    no permission, disk full. Exceptions of the block that do not come from this file pass unchanged.
    """
    if is_special(path):
        with _open(path, path, os.O_WRONLY) as file:
            yield file
        return
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise InputError("is write-protected", path)
    # Not the target's own name with a suffix: that could be longer than the file system allows.
    temporary = os.path.join(os.path.dirname(target), f".plugrad-{secrets.token_hex(8)}.tmp")
    try:
        with _open(path, temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file:
            yield file
        with _refusals(path):
            _sync(temporary, os.O_RDWR)
            with suppress(FileNotFoundError):
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            os.replace(temporary, target)
        with suppress(OSError):  # some file systems cannot do it; the content is safe already
            _sync(os.path.dirname(target), os.O_RDONLY)
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def parse_json(content):
    """Parse JSON from a stranger: UTF-8 bytes -> object.

    Raises ValueError, of one line, on damage and on what readers of JSON understand differently: a key given
    twice, NaN, infinity (also as 1e999), integers of more than 64 bits, nesting of more than 64 levels.
    """
    brackets = np.frombuffer(_JSON_STRING.sub(b"", content).translate(None, _NOT_BRACKETS), np.uint8)
    opening = (brackets == ord("[")) | (brackets == ord("{"))
    # Counted here because json's own parser recurses, and would meet the limit of the stack first.
    depth = np.cumsum(np.where(opening, np.int8(1), np.int8(-1)), dtype=np.int32)
    if depth.max(initial=0) > MAX_JSON_DEPTH:
        raise ValueError(f"its JSON is nested deeper than {MAX_JSON_DEPTH} levels")
    try:
        return json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_bounded,
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"its JSON is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"its JSON is damaged: {error.msg} at character {error.pos}") from None


def shown(value):
    """Return a value from a file as it may stand in a message: quoted ASCII of at most 80 characters."""
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


class _Output(io.FileIO):
    """A file whose failed writes are InputErrors, to be told from other OSErrors of the writing block."""

    def __init__(self, fd, path):
        super().__init__(fd, "wb")
        self.path = path

    def write(self, data):
        with _refusals(self.path):
            return super().write(data)


@contextmanager
def _open(named, path, flags):
    with _refusals(named):
        number = _stream_number(path)
        fd = os.open(path, flags | os.O_CLOEXEC, 0o666) if number is None else os.dup(number)
        file = io.BufferedWriter(_Output(fd, named), buffer_size=1 << 18)
    try:
        yield file
    except BaseException:
        with suppress(InputError, OSError):  # what stopped the block matters more
            file.close()
        raise
    with _refusals(named):
        file.close()


@contextmanager
def _refusals(path):
    try:
        yield
    except OSError as error:
        raise InputError(plain_reason(error), path) from None


def _stream_number(path):
    found = _STREAM.fullmatch(os.fspath(path))
    if found is None:
        return None
    name, *numbers = found.groups()
    return _STANDARD[name] if name else int(numbers[0] or numbers[1])


def _sync(path, flags):
    # By name, not through the file that was written: a TextIOWrapper around that one may have closed it.
    fd = os.open(path, flags)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unique(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"its JSON holds the key {shown(counts.most_common(1)[0][0])} twice")
    return result


def _finite(text):
    if not math.isfinite(value := float(text)):
        raise ValueError(f"its JSON holds {shown(text)}, which is no finite number")
    return value


def _bounded(text):
    # The length first: converting a million digits takes minutes, or Python refuses with another message.
    if len(text) > 20 or not -(2**63) <= int(text) < 2**64:
        raise ValueError(f"its JSON holds {shown(text)}, an integer of more than 64 bits")
    return int(text)
