"""The work folder beside an output: who writes it, from what, and how far it is."""

import contextlib
import hashlib
import json
import os
import shutil
import time

from plugrad.errors import InputError
from plugrad.files import plain_reason
from plugrad_anomaly.batch.part import PartFiles
from plugrad_anomaly.stream_state import replaced

try:
    import fcntl
except ImportError:  # no such locks there: two runs that write one output are not told apart
    fcntl = None

HEAD_BYTES = 1 << 16
MOST_NAME_BYTES = 255
ORPHAN_SECONDS = 10  # how long worker processes of a killed run are waited for


class WorkFolder:
    """`.NAME.plugrad` beside the output NAME: the parts, and what a later run needs to go on.

    Made by `claimed`, which holds it for this process. `joined` counts the units whose rows are in `output` already.
    """

    def __init__(self, output):
        target = os.path.realpath(output)
        name = os.path.basename(target)
        hidden = f".{name}.plugrad"
        if len(os.fsencode(hidden)) > MOST_NAME_BYTES:
            hidden = f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}.plugrad"
        self.named, self.target = output, target
        self.path = os.path.join(os.path.dirname(target), hidden)
        self.output, self.rejects = self._inside("output"), self._inside("rejects")
        self.lock = None

    def _inside(self, name):
        return os.path.join(self.path, name)

    def part(self, number):
        """The prefix of the files of a unit."""
        return self._inside(f"{number:08d}")

    @contextlib.contextmanager
    def claimed(self):
        """Hold the folder for the length of the block. Raises InputError where another run holds it."""
        try:
            self._claim()
        except FileNotFoundError:
            raise InputError(f"no such folder: {os.path.dirname(self.path)}", self.named) from None
        except OSError as error:
            raise InputError(plain_reason(error), self.path) from None
        try:
            yield self
        finally:
            os.close(self.lock)

    def _claim(self):
        while True:
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.path)
            # Open file descriptions hold the lock, and worker processes inherit this one: it is free once all are gone.
            lock = os.open(self._inside("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
            self._wait_for(lock)
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(lock), os.stat(self._inside("lock"))):
                    break
            os.close(lock)  # its folder was removed in between
        os.truncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self.lock = lock

    def _wait_for(self, lock):
        deadline = time.monotonic() + ORPHAN_SECONDS
        while fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                holder = os.pread(lock, 20, 0)
                if time.monotonic() > deadline or (holder.isdigit() and _lives(int(holder))):
                    os.close(lock)
                    who = f" (process {holder.decode()})" if holder.isdigit() else ""
                    raise InputError(f"another run{who} is writing it; expected one at a time", self.named) from None
                time.sleep(0.05)

    def begun(self):
        """The manifest of the interrupted run whose work is here, or None."""
        try:
            with open(self._inside("manifest"), "rb") as file:
                return json.loads(file.read())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            raise InputError("is damaged; --force begins anew", self._inside("manifest")) from None

    def begin(self, manifest):
        """Throw away what is here and note what a new run works from."""
        for name in os.listdir(self.path):
            if name != "lock":
                os.unlink(self._inside(name))
        with replaced(self._inside("manifest")) as file:
            file.write(json.dumps(manifest).encode())

    def joined(self):
        """What `note_joined` noted last: {"units": 0, …} before."""
        try:
            with open(self._inside("joined"), "rb") as file:
                return json.loads(file.read())
        except FileNotFoundError:
            return None

    def note_joined(self, counts):
        """Note how many units are in the output, how long it is, and what they counted."""
        with replaced(self._inside("joined")) as file:
            file.write(json.dumps(counts).encode())

    def finished_parts(self, first, count):
        """number -> summary of the units from `first` on that are done but not joined."""
        found = {number: PartFiles(self.part(number)).finished() for number in range(first, count)}
        return {number: summary for number, summary in found.items() if summary is not None}

    def remove(self):
        """Remove the folder: the output is in its place, or the run has failed."""
        # As long as the manifest is there, what says that the run is complete must be there too.
        with contextlib.suppress(OSError):
            os.unlink(self._inside("manifest"))
        shutil.rmtree(self.path, ignore_errors=True)


def _lives(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def file_hash(path):
    """SHA-256 of a file, as text."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_of(path):
    """The bytes of a file, 0 where there is none."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def identity(path):
    """What tells whether a file is the one it was: size, time of change, inode, and a hash of its head."""
    try:
        with open(path, "rb") as file:
            about, head = os.fstat(file.fileno()), file.read(HEAD_BYTES)
    except OSError as error:
        return {"missing": plain_reason(error)}
    # The head of a file that grows is compared by the bytes it had.
    return {
        "size": about.st_size, "modified": about.st_mtime_ns, "inode": about.st_ino,
        "head": hashlib.sha256(head).hexdigest(),
    }  # fmt: skip


def differences(before, now):
    """Raise InputError in words for what a run to be resumed was begun with and is not given now.

    before, now: manifests: mappings with "version", "model", "options", "files" (list of [path, identity]).
    """
    if before.get("version") != now["version"]:
        raise InputError(
            f"the interrupted run was plugrad {before.get('version')}, this is {now['version']}; --force begins anew"
        )
    if before["model"] != now["model"]:
        raise InputError(
            "is not the model of the interrupted run; expected the same, or --force to begin anew", now["model_path"]
        )
    for name, value in now["options"].items():
        if before["options"].get(name) != value:
            raise InputError(
                f"--{name} is {value}, but was {before['options'].get(name)} in the interrupted run; "
                "expected the same, or --force to begin anew"
            )
    if [path for path, _ in before["files"]] != [path for path, _ in now["files"]]:
        raise InputError(
            f"{len(now['files'])} files are given, which are not the {len(before['files'])} of the interrupted run in "
            "their order; expected the same, or --force to begin anew"
        )
    for (path, was), (_, found) in zip(before["files"], now["files"], strict=True):
        if was != found:
            raise InputError(f"{_change(was, found)} since the interrupted run began; --force begins anew", path)


def _change(was, found):
    if "missing" in was or "missing" in found:
        return "has come or gone"
    if was["size"] != found["size"]:
        return f"went from {was['size']:,} to {found['size']:,} bytes"
    if was["inode"] != found["inode"]:
        return "was replaced by another file"
    return "has changed"
