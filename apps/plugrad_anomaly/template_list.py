"""The templates of log files with their counts, in memory that does not grow with the files."""

import numpy as np

from plugrad_anomaly.read import read_chunks
from plugrad_anomaly.templates import Templates

EXAMPLE_BYTES = 500


def list_templates(paths, layout):
    """(list of mappings template, count, file, line, example; number of lines), the most frequent first.

    example: the beginning of the template's first line, as the masks of the layout leave it, and line its number.
    layout: Layout of the files. Lines beyond the limit of templates are counted together, at the end.
    """
    templates = Templates()
    counts, firsts, lines = np.zeros(1, np.int64), {}, 0
    for path in paths:
        for chunk in read_chunks(path, boundary=layout.boundary, reader=layout.reader):
            records, scanned = layout.scan(chunk)
            ids = templates.learn(scanned.hashes, records.data, scanned.starts, scanned.ends)
            numbers = records.line_numbers(ids.size)
            lines += ids.size
            found, first, count = np.unique(ids, return_index=True, return_counts=True)
            counts = np.concatenate(
                [counts, np.zeros(max(0, int(found[-1]) + 2 - counts.size) if found.size else 0, np.int64)]
            )
            counts[found + 1] += count  # -1, of lines beyond the limit, comes first
            for number, place in zip(found.tolist(), first.tolist(), strict=True):
                if number not in firsts:
                    end = min(scanned.ends[place], scanned.starts[place] + EXAMPLE_BYTES)
                    example = records.data[scanned.starts[place] : end].tobytes().decode("utf-8", errors="replace")
                    firsts[number] = (chunk.path, int(numbers[place]), example)
    final = templates.settle()
    texts = [*templates.texts, "(of more templates than are told apart)"]
    rows = {}
    for number, (file, line, example) in firsts.items():
        new = {"template": texts[final[number]], "count": 0, "file": file, "line": line, "example": example}
        row = rows.setdefault(int(final[number]), new)
        row["count"] += int(counts[number + 1])
    return sorted(rows.values(), key=lambda row: -row["count"]), lines
