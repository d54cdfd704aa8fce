"""`plugrad anomaly templates`: what kinds of lines a log has."""

import json

import click

from plugrad_anomaly.commands.layout_options import layout_options, new_layout
from plugrad_anomaly.commands.options import FILES, FORCE, OUTPUT, refuse, say


@click.command()
@FILES
@layout_options
@click.option("--top", type=click.IntRange(1), metavar="N", help="Only the N most frequent (default: all).")
@click.option("--examples", is_flag=True, help="Show the first line of each, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a template.")
@OUTPUT
@FORCE
def templates(files, top, examples, as_json, output, force, **layout):
    """List the templates of FILES…, the most frequent first: how many lines each has, and the first of them.

    \b
    plugrad anomaly templates app.log
    plugrad anomaly templates /var/log/app --mask 'ORDER=order-[A-Z0-9]+' --top 20
    """
    from plugrad_anomaly.explain import shown
    from plugrad_anomaly.template_list import list_templates
    from plugrad_anomaly.write import output as written
    from plugrad_anomaly.write import printable

    if output and output != "-":
        refuse(output, force)
    found, lines = list_templates(files, new_layout(**layout))
    with written(output) as file:
        for one in found[:top]:
            example = one.pop("example")
            if as_json:
                text = json.dumps(one | ({"example": example} if examples else {})) + "\n"
            else:
                text = printable(_row({**one, "template": shown(one["template"])}, lines)) + "\n"
                text += f"{'':20}{printable(example)}\n" if examples else ""
            file.write(text.encode("utf-8", "replace"))
    say(f"{lines:,} lines, {len(found):,} templates")


def _row(one, lines):
    share = one["count"] / lines
    return f"{one['count']:>10,}  {share:>6.1%}  {one['template']}  ({one['file']}:{one['line']})"
