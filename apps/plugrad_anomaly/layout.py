"""How a log is laid out: which lines are one record, which part is the message, what is masked. Part of a model."""

from plugrad_anomaly.log_format import LogFormat
from plugrad_anomaly.masks import Masks
from plugrad_anomaly.records import Records
from plugrad_anomaly.scan import scan


class Layout:
    """Chunks of a log → its records, scanned.

    multiline_start: the rule of `Records`; None: guessed from the first chunk. log_format: of `LogFormat`, or None.
    masks: of `Masks`. reader: name of the log reader that the lines come from, None for the files' own lines.
    """

    def __init__(self, multiline_start=None, log_format=None, masks=(), reader=None):
        self.records = None if multiline_start is None else Records(multiline_start)
        self.format = None if log_format is None else LogFormat(log_format)
        self.masks, self.reader = Masks(masks), reader

    def boundary(self, data):
        """Where `read_chunks` may cut."""
        if self.records is None:
            self.records = Records.guess(data, scan(data))
        return self.records.boundary(data)

    def scan(self, chunk):
        """(Chunk, ScannedLines) of the records of a chunk."""
        scanned = scan(chunk.data)
        if self.records is None:
            self.records = Records.guess(chunk.data, scanned)
        chunk, scanned = self.records.joined(chunk, scanned)
        if self.format is not None:
            chunk, scanned = self.format.applied(chunk, scanned)
        return self.masks.applied(chunk, scanned) if self.masks.given else (chunk, scanned)

    def state(self):
        """JSON-able mapping for a model file."""
        return {
            "multiline_start": None if self.records is None else self.records.rule,
            "log_format": None if self.format is None else self.format.given,
            "masks": self.masks.given,
            "reader": self.reader,
        }

    @classmethod
    def from_state(cls, state):
        """The Layout that `state` described."""
        rules, masks, reader = (state["multiline_start"], state["log_format"]), state["masks"], state.get("reader")
        if not all(rule is None or isinstance(rule, str) for rule in (*rules, reader)):
            raise TypeError("its layout is no text")
        if not isinstance(masks, list) or not all(isinstance(mask, str) for mask in masks):
            raise TypeError("its masks are no texts")
        return cls(*rules, masks, reader)
