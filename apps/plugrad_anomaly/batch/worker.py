"""A worker process: `python -m plugrad_anomaly.batch.worker MODEL`, a unit a line on standard input, JSON both ways.

A program of its own and not a fork: threads and locks of the kernels do not survive one. It ends with its parent, as
that one's end of the pipe closes, however it died.
"""

import json
import os
import queue
import sys
import threading
import traceback

from plugrad.errors import InputError, PlugradError
from plugrad_anomaly.batch.part import OutputError, score_part
from plugrad_anomaly.batch.progress import BytesRead

# Errors that the parent raises as what they were; any other is a bug, and told with its traceback.
ERRORS = {kind.__name__: kind for kind in (OutputError, InputError, MemoryError)}


def main(model):
    """Score units until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints is no answer
    requests = queue.Queue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()

    def tell(kind, value):
        answers.write(json.dumps({kind: value}).encode() + b"\n")

    detector = None
    while True:
        request = requests.get()
        read = BytesRead()
        try:
            if detector is None:
                from plugrad_anomaly import saved

                detector = saved.load(model)[0]
            counts = score_part(
                detector, request["unit"], request["settings"], request["prefix"],
                lambda counts, read=read: tell("progress", {**counts, "read": read.total()}), read.opened,
            )  # fmt: skip
            tell("done", counts)
        except Exception as error:
            tell("error", error_message(error))


def error_message(error):
    """An exception as a JSON-able mapping, for `raise_error`."""
    names = [cls.__name__ for cls in type(error).__mro__ if cls.__name__ in ERRORS]
    if not names and not isinstance(error, PlugradError):
        return {"kind": None, "text": "".join(traceback.format_exception(error))}
    about = {"path": getattr(error, "path", None), "line": getattr(error, "line", None)}
    return {"kind": names[0] if names else "InputError", "text": str(error), **about}


def raise_error(message):
    """Raise what `error_message` told of."""
    kind = ERRORS.get(message["kind"])
    if kind is None:
        raise RuntimeError(f"a worker failed:\n{message['text']}")
    error = kind(message["text"])
    error.path, error.line = message["path"], message["line"]
    raise error


def _listen(requests):
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    os._exit(0)  # from here, as the main thread may be in the middle of a unit


if __name__ == "__main__":
    main(sys.argv[1])
