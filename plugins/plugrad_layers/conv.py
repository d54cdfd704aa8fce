"""Convolutions over sequences and images."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import plugrad as pg
from plugrad.errors import InputError, ShapeError
from plugrad.ops.conv_arguments import around, whole
from plugrad.ops.dense import FUSED
from plugrad_layers.activations import ACTIVATIONS, check_activation, initializer_for


class _Convolution(pg.Layer):
    """What the convolutions share: the check of their fields, the kernel and the bias, and the call."""

    _axes: ClassVar[int]

    def __post_init__(self):
        name = type(self).__name__
        for field, least in (("kernel_size", 1), ("stride", 1), ("dilation", 1), ("output_padding", 0)):
            if hasattr(self, field):
                whole(getattr(self, field), self._axes, field, name, least)
        if self.padding not in ("same", "valid"):
            around(self.padding, self._axes, name)
        for field in ("filters", "groups", "multiplier"):
            whole(getattr(self, field, 1), 1, field, name, 1)
        if getattr(self, "filters", 1) % getattr(self, "groups", 1):
            raise InputError(f"{name}: groups must divide filters, got {self.groups} and {self.filters}")
        check_activation(self.activation, name)

    @property
    def _kernel(self):
        return whole(self.kernel_size, self._axes, "kernel_size", type(self).__name__, 1)

    def _channels(self, input_shape):
        """The channels of a sample, which must have the axes of an image or a sequence."""
        if len(input_shape) != self._axes + 1:
            places = "(length, channels)" if self._axes == 1 else "(height, width, channels)"
            more = "; add a channel axis: x[..., None]" if len(input_shape) == self._axes else ""
            raise ShapeError(f"{type(self).__name__}: expected samples {places}, got {tuple(input_shape)}{more}")
        channels, groups = input_shape[-1], getattr(self, "groups", 1)
        if channels % groups:
            raise ShapeError(f"{type(self).__name__}: groups must divide the channels, got {groups} and {channels}")
        return channels

    def _make(self, shape, rng, made, copies=1):
        """Assign the weight, of `copies` drawings of `shape` beside each other, and the bias of `made` outputs."""
        initializer = pg.registry().create("initializers", self.initializer or initializer_for(self.activation))
        drawn = [initializer((*self._kernel, *shape), rng) for _ in range(copies)]
        self.weight = pg.Parameter(np.concatenate(drawn, axis=-1))
        self.bias = pg.Parameter(np.zeros(made), decay=False) if self.use_bias else None

    def scaled(self, x, scale, shift, activation):
        """The convolution with another weight and bias, if nothing stands between it and the scaling."""
        if self.activation is not None or type(self) not in (Conv1D, Conv2D):
            return None
        bias = shift if self.bias is None else self.bias.data * scale + shift
        op = pg.conv1d if self._axes == 1 else pg.conv2d
        options = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}
        return op(x, self.weight.data * scale, bias, activation=activation, **options)

    def _apply(self, op, x, **options):
        options.update(stride=self.stride, padding=self.padding, dilation=self.dilation)
        if self.activation in FUSED:
            return op(x, self.weight, self.bias, activation=self.activation, **options)
        return ACTIVATIONS[self.activation](op(x, self.weight, self.bias, **options))


@dataclass
class Conv1D(_Convolution):
    """activation(x convolved with `filters` kernels + bias), along a sequence (LeCun et al. 1989).

    Input (batch, length, channels) -> output (batch, length', filters).

    filters: channels of the output. kernel_size: steps that one output sees. stride: steps from one output to the
    next. padding: "same" for length' = ceil(length / stride), zeros being put around the sequence, the odd one at its
    end; "valid" for none; a number of zeros for each end; or ((before, after),), with ((kernel_size - 1, 0),) for a
    causal convolution, in which no output sees what comes later. dilation: steps between the elements of the kernel.
    groups: how many groups of channels, each output seeing its own group. activation: a name in
    `plugrad_layers.activations.ACTIVATIONS`, or None. use_bias: False leaves the bias out. initializer: name of a
    registered initializer for the weight (kernel_size, channels // groups, filters), or a mapping of "name" and its
    fields; None takes the one that suits the activation, as in Dense. The bias begins at 0.

    Raises InputError for fields out of range, ShapeError for samples without a channel axis, for channels that groups
    does not divide, and for a kernel larger than the padded sequence.
    """

    filters: int
    kernel_size: int
    stride: int = 1
    padding: str | int | tuple = "same"
    dilation: int = 1
    groups: int = 1
    activation: str | None = None
    use_bias: bool = True
    initializer: str | dict | None = None

    _axes: ClassVar[int] = 1

    def build(self, input_shape, rng):
        self._make((self._channels(input_shape) // self.groups, self.filters), rng, self.filters)

    def forward(self, x):
        return self._apply(pg.conv1d, x, groups=self.groups)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(4, 3, stride=2, activation="tanh"), (7, 2)


@dataclass
class Conv2D(_Convolution):
    """activation(x convolved with `filters` kernels + bias), over images (LeCun et al. 1989).

    Input (batch, height, width, channels) -> output (batch, height', width', filters). Fields as in Conv1D;
    kernel_size, stride, padding and dilation are one number, or one for the height and one for the width; padding may
    also be ((top, bottom), (left, right)).
    """

    filters: int
    kernel_size: int | tuple
    stride: int | tuple = 1
    padding: str | int | tuple = "same"
    dilation: int | tuple = 1
    groups: int = 1
    activation: str | None = None
    use_bias: bool = True
    initializer: str | dict | None = None

    _axes: ClassVar[int] = 2

    build = Conv1D.build

    def forward(self, x):
        return self._apply(pg.conv2d, x, groups=self.groups)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(4, (3, 2), groups=2, activation="tanh"), (5, 4, 2)


@dataclass
class DepthwiseConv2D(_Convolution):
    """Every channel convolved with `multiplier` kernels of its own, + bias, activated (Chollet 2017).

    Input (batch, height, width, channels) -> output (batch, height', width', channels * multiplier), the outputs of one
    channel beside each other. The other fields as in Conv2D.
    """

    kernel_size: int | tuple
    multiplier: int = 1
    stride: int | tuple = 1
    padding: str | int | tuple = "same"
    dilation: int | tuple = 1
    activation: str | None = None
    use_bias: bool = True
    initializer: str | dict | None = None

    _axes: ClassVar[int] = 2

    def build(self, input_shape, rng):
        channels = self._channels(input_shape)
        # Each channel is a convolution of its own: an initializer must not count the others as its inputs or outputs.
        self._make((1, self.multiplier), rng, channels * self.multiplier, copies=channels)

    def forward(self, x):
        return self._apply(pg.conv2d, x, groups=x.shape[-1])

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(3, multiplier=2, activation="tanh"), (4, 5, 2)


@dataclass
class ConvTranspose1D(_Convolution):
    """The transposed Conv1D, + bias, activated: every element spreads over kernel_size outputs (Zeiler et al. 2010).

    Input (batch, length, channels) -> output (batch, length', filters), where length' is length * stride with padding
    "same", else (length - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + 1 + output_padding.

    padding: "same"; "valid" for 0; how many outputs are cut off at each end; or ((before, after),). output_padding:
    outputs added at the end, below the stride or the dilation. The weight is
    (kernel_size, channels, filters // groups); the other fields and the errors are as in Conv1D.
    """

    filters: int
    kernel_size: int
    stride: int = 1
    padding: str | int | tuple = "same"
    output_padding: int = 0
    dilation: int = 1
    groups: int = 1
    activation: str | None = None
    use_bias: bool = True
    initializer: str | dict | None = None

    _axes: ClassVar[int] = 1

    def build(self, input_shape, rng):
        self._make((self._channels(input_shape), self.filters // self.groups), rng, self.filters)

    def forward(self, x):
        return self._apply(pg.conv_transpose1d, x, groups=self.groups, output_padding=self.output_padding)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(4, 3, stride=2, activation="tanh"), (5, 2)


@dataclass
class ConvTranspose2D(_Convolution):
    """The transposed Conv2D, + bias, activated (Zeiler et al. 2010).

    Input (batch, height, width, channels) -> output (batch, height', width', filters), sizes as in ConvTranspose1D.
    kernel_size, stride, padding, output_padding and dilation are one number, or one for the height and one for the
    width.
    """

    filters: int
    kernel_size: int | tuple
    stride: int | tuple = 1
    padding: str | int | tuple = "same"
    output_padding: int | tuple = 0
    dilation: int | tuple = 1
    groups: int = 1
    activation: str | None = None
    use_bias: bool = True
    initializer: str | dict | None = None

    _axes: ClassVar[int] = 2

    build = ConvTranspose1D.build

    def forward(self, x):
        return self._apply(pg.conv_transpose2d, x, groups=self.groups, output_padding=self.output_padding)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(4, 3, stride=2, groups=2, activation="tanh"), (3, 2, 2)
