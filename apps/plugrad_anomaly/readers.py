"""Log readers: functions from a path to a log's lines, registered by plugins, as files of bytes that can be read on."""

import io

from plugrad.errors import InputError, PlugradError

GATHERED_BYTES = 1 << 16  # handed on at a time

_TIME = ("@timestamp", "timestamp", "time", "ts", "date", "datetime")
_LEVEL = ("level", "severity", "levelname", "lvl")
_MESSAGE = ("message", "msg", "text", "event", "log")


def json_lines(path):
    """Yield JSON lines as lines of text: "time level message key=value …".

    The time, the level and the message are the first of the usual names that an object has; the other keys follow in
    their order, keys of objects inside with dots between. A line that is no object, or one nested too deeply, stays as
    it is.
    """
    import json

    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                record = json.loads(line)
                text = _as_text(record) if isinstance(record, dict) else line
            except (ValueError, RecursionError):
                text = line
            yield text


def _as_text(record):
    keys = [next((name for name in names if name in record), None) for names in (_TIME, _LEVEL, _MESSAGE)]
    parts = [str(record[key]) for key in keys if key is not None]
    return " ".join(parts + [f"{key}={value}" for key, value in _flat(record, "") if key not in keys])


def _flat(record, before):
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def open_lines(name, path):
    """What the reader registered as `name` yields of a file, as a binary stream.

    Raises LookupFailed for a name that is not registered, InputError for standard input.
    """
    from plugrad.plugins import registry

    function = registry().get("log_readers", name)
    if path == "-":
        raise InputError(f"log reader {name} opens files by their names; standard input has none", "<stdin>")
    return _Lines(function, name, str(path))


class _Lines(io.RawIOBase):
    """The lines of a reader, each ended by a newline; whatever the reader raises is an InputError that names it."""

    def __init__(self, function, name, path):
        self._function, self._name, self._path = function, name, path
        self._lines, self._rest, self._failure = None, memoryview(b""), None

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self._rest:
            self._rest = memoryview(self._gather())
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _gather(self):
        if self._failure is not None:
            raise self._failure
        gathered, size = [], 0
        try:
            if self._lines is None:
                self._lines = iter(self._function(self._path))
            for line in self._lines:
                gathered.append(self._line(line))
                size += len(gathered[-1])
                if size >= GATHERED_BYTES:
                    break
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # it is a stranger's
            self._failure = self._told(error)
            if not gathered:
                raise self._failure from error
        return b"".join(gathered)  # lines before a failure are good: it is raised when they were taken

    def _told(self, error):
        if isinstance(error, PlugradError):
            return error
        if isinstance(error, OSError):
            return InputError((error.strerror or type(error).__name__).lower(), self._path)
        said = " ".join(str(error).split())[:200]
        return InputError(f"log reader {self._name} failed: {type(error).__name__}: {said}", self._path)

    def _line(self, line):
        if isinstance(line, str):
            line = line.encode("utf-8", "replace")
        elif not isinstance(line, bytes):
            kind = type(line).__name__
            raise InputError(f"log reader {self._name} yielded a {kind}; a line of text was expected", self._path)
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        if b"\n" in line:
            line = line.replace(b"\r\n", b" ").replace(b"\n", b" ")
        return line + b"\n"
