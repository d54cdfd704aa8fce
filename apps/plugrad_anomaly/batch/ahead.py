"""A generator run ahead by a thread, so that reading and scanning overlap with grouping, scoring and writing."""

import queue
import threading

_END = object()


def ahead(items, depth=2):
    """Yield what the generator `items` yields; a thread makes up to `depth` items that are not asked for yet.

    What `items` raises is raised here, in its place. Closing this generator ends the thread once it has made its item;
    a thread that waits for input (a pipe) does not keep the process alive.
    """
    made = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def hand_over(item):
        while not stopped.is_set():
            try:
                made.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def run():
        try:
            for item in items:
                if not hand_over((item, None)):
                    return
            hand_over((_END, None))
        except BaseException as error:
            hand_over((_END, error))
        finally:
            items.close()

    threading.Thread(target=run, name="plugrad-reader", daemon=True).start()
    try:
        while True:
            item, error = made.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stopped.set()
