"""A Summary as one page of HTML that needs no network and runs no script but its own."""

import base64
import hashlib
import math
from datetime import UTC, datetime
from html import escape
from importlib.resources import files

from plugrad import __version__
from plugrad_anomaly.page.lines import places

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 1080, 190, 44, 24, 12
MOST_SUBJECTS_SHOWN = 200
MOST_FILES_SHOWN = 100


def render(summary, lines, title):
    """The page as text.

    summary: from `read_scores`. lines: (file, line number) -> raw line, from `raw_lines`; may be empty. title: text.

    Every text from a file is escaped; a content security policy lets nothing load, and no script run but the page's
    own, told by its hash.
    """
    style, script = (
        files("plugrad_anomaly.page").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(title)}</title>",
            f"<style>\n{style}</style></head><body>",
            f"<h1>{_text(title)}</h1>",
            '<p class="about">Rows whose score is above the threshold are anomalies. '
            f"Written by plugrad {__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.</p>",
            _facts(summary),
            "<h2>Scores in the order of the rows</h2>",
            _timeline(summary),
            '<h2 id="findings">Findings, the oddest first</h2>',
            '<input id="query" type="search" placeholder="filter by text" aria-label="filter by text">'
            '<span class="shown" id="shown"></span>',
            *(_article(finding, lines) for finding in summary.findings),
            _rest(summary),
            "<h2>What they are about</h2>",
            _subjects(summary.subjects),
            "<h2>Files</h2>",
            _files(summary.files),
            f"<script>{script}</script></body></html>\n",
        ]
    )


def _text(value):
    """Text of a stranger as HTML: escaped, control characters shown."""
    shown = "".join(c if c.isprintable() or c in "\t\n" else f"\\x{ord(c):02x}" for c in str(value))
    return escape(shown)


def _facts(summary):
    facts = [("rows", f"{summary.rows:,}"), ("anomalies", f"{summary.anomalies:,}")]
    facts.append(("of the rows", f"{summary.anomalies / summary.rows:.2%}"))
    facts.append(("threshold", f"{summary.threshold:.2f}"))
    if summary.first_time:
        facts.append(("from", summary.first_time[:19].replace("T", " ")))
        facts.append(("to", summary.last_time[:19].replace("T", " ")))
    boxes = "".join(f"<div><b>{_text(value)}</b><span>{name}</span></div>" for name, value in facts)
    return f'<div class="facts">{boxes}</div>'


def _timeline(summary):
    """Bars of the largest score of each bin, on a root scale, on which both 3 and 60 can be read."""
    most = max(*(b.largest for b in summary.bins), 1.5 * summary.threshold, 1e-9)
    across, up = WIDTH - LEFT - 8, HEIGHT - BOTTOM - TOP
    step = across / len(summary.bins)

    def height(score):
        return up * math.sqrt(max(score, 0.0) / most)

    parts = []
    for place, one in enumerate(summary.bins):
        x, tall = LEFT + place * step, height(one.largest)
        first = place * summary.bin_rows + 1
        said = f"rows {first:,} to {first + one.rows - 1:,}{', ' + one.timestamp if one.timestamp else ''}: "
        said += f"largest score {one.largest:.2f}, {one.anomalies:,} anomalies"
        kind = "bar odd" if one.anomalies else "bar"
        parts.append(
            f'<g class="bin" data-first="{first}" data-last="{first + one.rows - 1}"><title>{_text(said)}</title>'
            f'<rect class="hit" x="{x:.1f}" y="{TOP}" width="{step:.2f}" height="{up}"/>'
            f'<rect class="{kind}" x="{x:.1f}" y="{TOP + up - tall:.1f}" width="{max(step * 0.85, 0.5):.2f}" '
            f'height="{tall:.1f}"/></g>'
        )
    limit = TOP + up - height(summary.threshold)
    parts.append(f'<line class="limit" x1="{LEFT}" x2="{LEFT + across}" y1="{limit:.1f}" y2="{limit:.1f}"/>')
    for score in sorted({0.0, round(summary.threshold, 1), round(most, 1)}):
        parts.append(f'<text x="{LEFT - 6}" y="{TOP + up - height(score) + 4:.1f}" text-anchor="end">{score:g}</text>')
    ends = [(0, "start"), (len(summary.bins) // 2, "middle"), (len(summary.bins) - 1, "end")]
    for place, anchor in dict(ends).items():
        one = summary.bins[place]
        label = one.timestamp[:19].replace("T", " ") or f"row {place * summary.bin_rows + 1:,}"
        parts.append(
            f'<text x="{LEFT + place * step:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{_text(label)}</text>'
        )
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="timeline of scores">{"".join(parts)}</svg>'


def _article(finding, lines):
    span = f"{finding.line}" + (f"-{finding.last_line}" if finding.last_line != finding.line else "")
    about = [f"{finding.file}:{span}", finding.id, finding.timestamp]
    header = "".join(f"<span>{_text(part)}</span>" for part in about if part)
    reasons = "".join(f"<li>{_text(reason.get('text', ''))}</li>" for reason in finding.reasons)
    shown = [(file, line, lines[file, line]) for file, line in places(finding) if (file, line) in lines]
    raw = "\n".join(f"<i>{_text(file)}:{line}  </i>{_text(text)}" for file, line, text in shown)
    return (
        f'<article data-row="{finding.number}"><header><b>{finding.score:.2f}</b>{header}</header>'
        f"<ul>{reasons}</ul>{f'<pre>{raw}</pre>' if raw else ''}</article>"
    )


def _rest(summary):
    left = summary.anomalies - len(summary.findings)
    if not summary.anomalies:
        return "<p>None: no row is above the threshold.</p>"
    return f"<p>{left:,} more, with lower scores, are not on this page.</p>" if left > 0 else ""


def _subjects(subjects):
    if not subjects:
        return "<p>Nothing.</p>"
    rows = "".join(
        f'<tr><td class="number">{s.count:,}</td><td class="number">{s.largest:.2f}</td><td>{_text(s.kind)}</td>'
        f"<td>{_text(s.text)}</td><td>{_text(s.place)}</td></tr>"
        for s in subjects[:MOST_SUBJECTS_SHOWN]
    )
    names = '<th class="number">findings</th><th class="number">largest score</th><th>kind</th>'
    names += "<th>template or column</th><th>first</th>"
    return f'<table id="subjects"><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>'


def _files(counts):
    rows = "".join(
        f'<tr><td>{_text(name)}</td><td class="number">{c["rows"]:,}</td>'
        f'<td class="number">{c["anomalies"]:,}</td></tr>'
        for name, c in list(counts.items())[:MOST_FILES_SHOWN]
    )
    names = '<th>file</th><th class="number">rows</th><th class="number">anomalies</th>'
    more = f"<p>and {len(counts) - MOST_FILES_SHOWN:,} more</p>" if len(counts) > MOST_FILES_SHOWN else ""
    return f"<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>{more}"
