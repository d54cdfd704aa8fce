"""A Tensor: a NumPy array that remembers how it came about."""

import numpy as np

from plugrad import tape as tapes
from plugrad.errors import PlugradError, ShapeError

# What backward starts from at a single number: made once, since gradient functions never write into what they are
# given.
_SEEDS = {np.dtype(kind): np.ones((), kind) for kind in (np.float32, np.float64)}


class Tensor:
    """An array in an expression whose gradient may be asked for.

    data: anything np.asarray takes; arrays of floats keep their type, all else that is not an integer or a
        boolean array becomes float32.
    requires_grad: True makes it a leaf: `backward` adds to its `grad`, a NumPy array of the same shape.

    Arithmetic, comparison, indexing and the methods below follow NumPy; every result is a new Tensor.
    """

    __slots__ = ("__weakref__", "data", "grad", "gradient_memory", "number", "requires_grad", "tape")
    __array_priority__ = 100  # so that array + Tensor asks the Tensor

    def __init__(self, data, requires_grad=False):
        if type(data) is not np.ndarray:
            data = _as_array(data)
        if requires_grad and data.dtype.kind != "f":
            raise PlugradError(f"only a tensor of floats has a gradient; got {data.dtype}")
        self.data = data
        self.requires_grad = requires_grad
        self.grad = None
        self.gradient_memory = None
        self.tape = None
        self.number = 0

    shape = property(lambda self: self.data.shape, doc="The lengths of the axes.")
    ndim = property(lambda self: self.data.ndim, doc="The number of axes.")
    size = property(lambda self: self.data.size, doc="The number of elements.")
    dtype = property(lambda self: self.data.dtype, doc="The type of the elements.")

    def backward(self, gradient=None, retain=False):
        """Add the gradient of this tensor with respect to every leaf it came from into the leaf's `grad`.

        gradient: what to start from, of this tensor's shape; 1 for a single number.
        retain: keep the record, so that backward can be called again.
        """
        if gradient is None:
            if self.data.size != 1:
                raise ShapeError(
                    f"backward starts from a single number; of shape {self.shape}, give it a gradient of that shape"
                )
            gradient = _SEEDS.get(self.data.dtype) if self.data.ndim == 0 else None
            if gradient is None:
                gradient = np.ones(self.data.shape, self.data.dtype)
        else:
            gradient = np.ascontiguousarray(as_data(gradient), dtype=self.data.dtype).reshape(
                np.shape(as_data(gradient))
            )
            if gradient.shape != self.shape:
                raise ShapeError(f"backward: expected a gradient of shape {self.shape}, got {gradient.shape}")
        if self.tape is not None:
            tapes.backward(*tapes.locate(self), gradient, retain)
        elif self.requires_grad:
            tapes.add_to_leaf(self, gradient)
        else:
            raise PlugradError(
                "backward: nothing was recorded for this result: it depends on no parameter, or ran under no_grad()"
            )

    def detach(self):
        """The same array, cut off from how it came about."""
        return Tensor(self.data)

    def numpy(self):
        """The array itself, not a copy."""
        return self.data

    def item(self):
        """The value of a tensor of one element, as a Python number."""
        return self.data.item()

    def __array__(self, dtype=None, copy=None):
        return np.array(self.data, dtype=dtype, copy=copy)

    def __len__(self):
        return len(self.data)

    def __bool__(self):
        return bool(self.data)

    def __float__(self):
        return float(self.data)

    def __repr__(self):
        return f"Tensor({np.array2string(self.data, separator=', ')}, shape={self.shape}, dtype={self.dtype})"


def _as_array(data):
    if isinstance(data, Tensor):
        return data.data
    given = isinstance(data, np.generic) or hasattr(data, "__array__")
    array = np.asarray(data)
    if array.dtype.kind in "iub" and (given or array.dtype.kind == "b"):
        return array
    if array.dtype.kind not in "iubf":
        raise PlugradError(f"a Tensor holds numbers; got {array.dtype} of shape {array.shape}")
    return array if given else array.astype(np.float32)


def as_data(value):
    """The array behind a Tensor; anything else as it is."""
    return value.data if isinstance(value, Tensor) else value
