"""Units scored by the workers of a Dask scheduler (`--dask`), on as many machines as there are.

A unit is a task. Its worker opens the files by the paths given here, so they and the model lie in a folder that all
machines share; rows come back compressed, so the output need not. Sessions, which span files, are one unit and so the
work of one worker.
"""

import contextlib
import os
import shutil
import tempfile
import threading
import zlib

import plugrad
from plugrad.errors import InputError
from plugrad_anomaly.batch.folder import file_hash
from plugrad_anomaly.batch.part import OutputError, PartFiles, score_part
from plugrad_anomaly.batch.worker import error_message, raise_error

CONNECT_SECONDS = 10
WAIT_SECONDS = 60  # for a first worker
COPY_BYTES = 1 << 20

_loaded = {}  # in a worker: hash of a model file -> its detector
_one_at_a_time = threading.Lock()  # a model's memory is for one prediction at a time


def score_on_cluster(address, model, units, settings, prefix_of, monitor):
    """Yield (number, summary) of each unit as it is done, in any order; rows are in the files `prefix_of(number)`.*.

    address: of the scheduler. model: path of the model file. units: number -> paths. A unit whose worker dies is given
    to another. Raises InputError where the scheduler or its workers cannot be used, and what `score_part` raises.
    """
    distributed = _distributed()
    sizes = {path: _size(path) for unit in units.values() for path in unit}
    common = (os.path.abspath(model), file_hash(model), plugrad.__version__, os.getcwd())
    settings = {**settings, "checkpoints": False}
    with _connected(distributed, address) as client:
        waiting, running = list(reversed(units.items())), {}
        done = distributed.as_completed(loop=client.loop)
        try:
            while waiting or running:
                # A task for each worker: more would only wait, where another worker may be free sooner.
                while waiting and len(running) < max(1, len(client.nthreads())):
                    number, unit = waiting.pop()
                    task = (unit, [sizes[path] for path in unit], settings)
                    future = client.submit(score_remotely, *common, *task, pure=False)
                    running[future] = number
                    done.add(future)
                future = next(done)
                number = running.pop(future)
                summary = _received(future, units[number], prefix_of(number))
                read = sum(sizes[path] or 0 for path in units[number])
                monitor.update(number, {**summary, "read": read})
                monitor.finished(number, summary)
                yield number, summary
        finally:
            with contextlib.suppress(Exception):
                client.cancel(list(running))


def _distributed():
    try:
        import distributed
    except ImportError:
        raise InputError("--dask needs the package distributed; install it with: pip install 'plugrad[dask]'") from None
    return distributed


@contextlib.contextmanager
def _connected(distributed, address):
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"no Dask scheduler answers at {address} ({reason}); expected one such as tcp://host:8786"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT_SECONDS)
        except TimeoutError:
            raise InputError(
                f"the scheduler at {address} has no workers; `dask worker {address}` starts some"
            ) from None
        yield client


def _received(future, unit, prefix):
    """Put what a task gave into the files of a part; its summary."""
    if future.status == "error":
        error = future.exception()
        name = type(error).__name__
        if name == "KilledWorker":
            raise OutputError("the Dask workers that scored it died, one after another", unit[0])
        raise InputError(f"the Dask workers cannot score ({name}: {' '.join(str(error).split())[:200]})", unit[0])
    if future.status != "finished":
        raise OutputError("the Dask scheduler went away while it was scored", unit[0])
    kind, value, rows, rejects = future.result()
    future.release()
    if kind == "error":
        raise_error(value)
    files = PartFiles(prefix)
    for path, content in ((files.rows, rows), (files.rejects, rejects)):
        with open(path, "wb") as file:
            _inflate(content, file)
    files.finish(value)
    return value


def score_remotely(model, model_hash, version, folder, unit, sizes, settings):
    """The task: ("done", summary, compressed rows, compressed rejects) or ("error", message, None, None).

    folder: what relative paths start from. sizes: of the files, as the one who asks sees them.
    """
    with _one_at_a_time:
        try:
            detector = _detector(model, model_hash, version)
            for path, size in zip(unit, sizes, strict=True):
                _check_size(os.path.join(folder, path), size)
            scratch = tempfile.mkdtemp(prefix="plugrad-")
            try:
                files = PartFiles(os.path.join(scratch, "part"))
                summary = score_part(detector, unit, settings, os.path.join(scratch, "part"), folder=folder)
                return "done", summary, _deflated(files.rows), _deflated(files.rejects)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        except InputError as error:
            return "error", error_message(error), None, None


def _detector(model, model_hash, version):
    if version != plugrad.__version__:
        raise InputError(f"a Dask worker has plugrad {plugrad.__version__}; expected {version}, as here")
    if model_hash not in _loaded:
        from plugrad_anomaly import saved

        detector = saved.load(model)[0]
        if file_hash(model) != model_hash:
            raise InputError("is another file on a Dask worker; expected a folder that all machines share", model)
        _loaded.clear()
        _loaded[model_hash] = detector
    return _loaded[model_hash]


def _check_size(path, size):
    here = _size(path)
    if here != size:
        there = "does not exist" if here is None else f"has {here:,} bytes"
        raise InputError(f"{there} on a Dask worker; expected a folder that all machines share", path)


def _size(path):
    try:
        return os.path.getsize(path)
    except OSError:
        return None


def _deflated(path):
    packer = zlib.compressobj(1)
    parts = []
    with open(path, "rb") as file:
        while part := file.read(COPY_BYTES):
            parts.append(packer.compress(part))
    return b"".join([*parts, packer.flush()])


def _inflate(content, file):
    unpacker = zlib.decompressobj()
    while content:
        file.write(unpacker.decompress(content, COPY_BYTES))
        content = unpacker.unconsumed_tail
    file.write(unpacker.flush())
