"""A Kolmogorov–Arnold layer for plugrad."""

import plugrad as pg
from kan.layer import KANLinear, spline_basis

__all__ = ["KANLinear", "spline_basis"]

plugrad_contract = ">=1.0,<2"


@pg.hookimpl
def register_layers():
    """KANLinear."""
    return {"kan.KANLinear": KANLinear}


@pg.hookimpl
def register_ops():
    """The basis of the splines."""
    return {"kan.spline_basis": spline_basis}
