"""Tensor's operators and methods, each one op."""

import numbers

import numpy as np

from plugrad.ops import activation, choice, elementwise, functions, index, matmul, reduce, shape, sort
from plugrad.tensor import Tensor, as_data


def _swapped(op):
    return lambda self, other: op(other, self)


def _compare(name, ufunc):
    def compare(self, other):
        if not isinstance(other, Tensor | np.ndarray | numbers.Number | np.bool_ | list | tuple):
            return NotImplemented
        return Tensor(np.asarray(ufunc(self.data, as_data(other))))

    compare.__name__ = name
    return compare


_OPERATORS = {
    "add": elementwise.add,
    "sub": elementwise.subtract,
    "mul": elementwise.multiply,
    "truediv": elementwise.divide,
    "mod": elementwise.mod,
    "pow": elementwise.power,
    "matmul": matmul.matmul,
}
for _name, _op in _OPERATORS.items():
    setattr(Tensor, f"__{_name}__", lambda self, other, op=_op: op(self, other))
    setattr(Tensor, f"__r{_name}__", _swapped(_op))

_COMPARISONS = {
    "__lt__": np.less,
    "__le__": np.less_equal,
    "__gt__": np.greater,
    "__ge__": np.greater_equal,
    "__eq__": np.equal,
    "__ne__": np.not_equal,
}
for _name, _ufunc in _COMPARISONS.items():
    setattr(Tensor, _name, _compare(_name, _ufunc))
Tensor.__hash__ = object.__hash__  # a Tensor is a key by what it is, not by its numbers

_METHODS = (
    *(getattr(reduce, n) for n in ("sum", "mean", "var", "std", "prod", "max", "min", "argmax", "argmin")),
    *(getattr(reduce, n) for n in ("any", "all")),
    *(getattr(functions, n) for n in ("exp", "log", "sqrt", "abs", "square", "round")),
    *(getattr(sort, n) for n in ("cumsum", "cumprod", "argsort")),
    *(getattr(shape, n) for n in ("swapaxes", "squeeze", "flatten", "ravel")),
    choice.clip, activation.tanh, activation.sigmoid, activation.relu, index.take,
)  # fmt: skip
for _op in _METHODS:
    setattr(Tensor, _op.__name__, _op)

Tensor.__neg__ = lambda self: elementwise.negative(self)
Tensor.__abs__ = lambda self: functions.abs(self)
Tensor.__getitem__ = lambda self, key: index.getitem(self, key)
Tensor.reshape = lambda self, *lengths: shape.reshape(
    self, lengths[0] if len(lengths) == 1 and isinstance(lengths[0], tuple | list) else lengths
)
Tensor.transpose = lambda self, *axes: shape.transpose(
    self, axes[0] if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)) else axes or None
)
Tensor.T = property(lambda self: shape.transpose(self))
