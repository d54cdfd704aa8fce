"""Checkers for authors of plugins: each raises AssertionError with what was expected and what came.

    from plugrad import testing

    def test_plugin():
        testing.check_plugin("rmsnorm")          # everything that the plugin of this name registers

    def test_layer():
        testing.check_layer(RMSNorm(), input_shape=(8,))

What `check_plugin` tries a class with comes from its classmethod `example`:

    a layer         (layer, input_shape), input_shape being one sample's; or (layer, batch) with an array of samples
    a loss          (loss, prediction, target) with arrays in float64
    anything else   an instance

A class that can be made without arguments needs none: a layer is then given samples of shape (6,), a loss two
arrays of shape (4, 3). An example should stay away from kinks, where a gradient cannot be told from differences.
"""

from plugrad.testing.gradient import check_gradient
from plugrad.testing.layer import check_layer
from plugrad.testing.op import check_op
from plugrad.testing.plugin import check_plugin
from plugrad.testing.training import check_initializer, check_loss, check_optimizer, check_schedule

__all__ = [
    "check_gradient", "check_initializer", "check_layer", "check_loss", "check_op", "check_optimizer", "check_plugin",
    "check_schedule",
]  # fmt: skip
