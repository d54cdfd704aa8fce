"""Optimizers that look at more than single elements: Muon at matrices, Sophia at a running curvature."""

import plugrad as pg
from muon.muon import Muon
from muon.sophia import Sophia

__all__ = ["Muon", "Sophia"]

plugrad_contract = ">=1.0,<2"


@pg.hookimpl
def register_optimizers():
    """Muon and Sophia."""
    return {"muon.Muon": Muon, "muon.Sophia": Sophia}
