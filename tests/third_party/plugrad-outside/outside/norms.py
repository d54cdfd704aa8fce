"""`plugrad outside.norms MODEL`."""

import click
import numpy as np

import plugrad as pg


@click.command()
@click.argument("model", type=click.Path())
def norms(model):
    """Show the Euclidean norm of each parameter of MODEL."""
    for name, parameter in pg.load_model(model).model.named_parameters():
        click.echo(f"{np.linalg.norm(parameter.data):10.4f}  {name}")
