"""The conformance kit: checkers for authors of plugins.

    from plugrad import testing

    def test_plugin():
        testing.check_plugin("rmsnorm")          # everything that the plugin of this name registers

    def test_layer():
        testing.check_layer(RMSNorm(), input_shape=(8,))

With pytest there is a fixture, `plugrad_conformance("rmsnorm")`, which takes a class or an instance too; on the command
line `plugrad plugins check rmsnorm`. Each checker raises AssertionError with what was checked, the numbers, and the
likely mistake.

What `check_plugin` tries a class with comes from its classmethod `example`:

    a layer         (layer, input_shape), input_shape being one sample's; or (layer, batch) with an array of samples
    a loss          (loss, prediction, target) with arrays in float64
    anything else   an instance

A class that can be made without arguments needs none: a layer is then given samples of shape (6,), a loss two arrays of
shape (4, 3). An example should stay away from kinks, where a gradient cannot be told from differences. An op has
examples of its own (`plugrad.op(example=...)`). Commands and log readers are not checked.

What a class claims, it is held to:

    Layer.mixes_samples = True      in prediction, an output depends on the other samples of the batch
    Loss.mixes_samples = True       a sample's part of the loss depends on the others
    Loss.nonnegative = True         it is never below 0
    Loss.reduction (a field)        "sum", or the mean
    Loss.class_weights (a field)    a factor for each class, or None; 0 takes the samples of a class out
    Optimizer.memory                the vectors that it keeps between steps, all of them
    Optimizer.by_parameter = True   it does not treat each element on its own
    naive(self, x) (a method)       the same by plain functions of plugrad: it must agree, and its time is told
    forward(self, x, mask)          mask (batch, length): 0 for positions at the end that must not count

An output may share its memory with the input, as a view does, but not with a parameter, nor with an earlier output.
"""

from plugrad.testing.gradient import check_gradient
from plugrad.testing.layer import check_layer
from plugrad.testing.loss import check_loss
from plugrad.testing.op import check_op
from plugrad.testing.optimizer import check_optimizer
from plugrad.testing.plugin import check_plugin
from plugrad.testing.schedule import check_initializer, check_schedule

__all__ = [
    "check_gradient", "check_initializer", "check_layer", "check_loss", "check_op", "check_optimizer", "check_plugin",
    "check_schedule",
]  # fmt: skip
