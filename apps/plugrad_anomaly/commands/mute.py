"""`plugrad anomaly mute`: a known oddity stays quiet."""

import click

from plugrad.errors import InputError
from plugrad_anomaly.commands.options import FORCE, refuse, say


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("subjects", nargs=-1, metavar="TEMPLATE…")
@click.option("--undo", is_flag=True, help="Let TEMPLATE… be heard of again.")
@click.option("-o", "--output", metavar="FILE", help="Write the changed model there and leave MODEL as it is.")
@FORCE
def mute(model, subjects, undo, output, force):
    """Keep MODEL quiet about TEMPLATE…: as a reason shows it, or a line of the log that has it. Of a table: a column.

    Without TEMPLATE it lists what is muted. A row that is odd for other reasons too is still found.

    \b
    plugrad anomaly mute shop.model 'WARN queue smtp-<*> slow, retry <*> in <*> s'
    plugrad anomaly mute sensors.model vibration_mm_s
    plugrad anomaly mute shop.model
    """
    from plugrad_anomaly import saved

    known = saved.load_muted(model)
    if not subjects:
        for subject in known:
            click.echo(subject)
        return
    if output:
        refuse(output, force)
    missing = [subject for subject in subjects if undo and subject not in known]
    if missing:
        raise InputError(f"{missing[0]!r} is not muted; expected one of {', '.join(map(repr, known)) or 'none'}", model)
    kept = [subject for subject in known if subject not in subjects]
    saved.change(model, {"muted": kept if undo else [*kept, *dict.fromkeys(subjects)]}, output)
    say(f"{output or model} written, with {len(kept) if undo else len(kept) + len(set(subjects))} muted")
