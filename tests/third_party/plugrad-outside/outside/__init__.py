"""What somebody who has only read the documentation may add to plugrad."""

import plugrad as pg
from outside.reader import journal
from outside.snake import Snake
from outside.tukey import Tukey
from outside.yogi import Yogi

__all__ = ["Snake", "Tukey", "Yogi", "journal"]

plugrad_contract = ">=1.0,<2"


@pg.hookimpl
def register_layers():
    """Snake."""
    return {"outside.Snake": Snake}


@pg.hookimpl
def register_losses():
    """Tukey's biweight."""
    return {"outside.Tukey": Tukey}


@pg.hookimpl
def register_optimizers():
    """Yogi."""
    return {"outside.Yogi": Yogi}


@pg.hookimpl
def register_log_readers():
    """The journal's export format."""
    return {"outside.Journal": journal}


@pg.hookimpl
def register_commands():
    """`plugrad outside.norms MODEL`."""
    return {"outside.norms": pg.command("outside.norms:norms", help="Show how large the parameters of a model are.")}
