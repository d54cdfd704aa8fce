"""Tensor's operators and methods, each one op."""

from plugrad.ops import elementwise, functions, matmul, reduce, shape
from plugrad.tensor import Tensor, as_data


def _swapped(op):
    return lambda self, other: op(other, self)


def _compare(name):
    def compare(self, other):
        return Tensor(getattr(self.data, name)(as_data(other)))

    compare.__name__ = name
    return compare


_OPERATORS = {
    "add": elementwise.add,
    "sub": elementwise.subtract,
    "mul": elementwise.multiply,
    "truediv": elementwise.divide,
    "pow": elementwise.power,
    "matmul": matmul.matmul,
}
for _name, _op in _OPERATORS.items():
    setattr(Tensor, f"__{_name}__", lambda self, other, op=_op: op(self, other))
    setattr(Tensor, f"__r{_name}__", _swapped(_op))
for _name in ("__lt__", "__le__", "__gt__", "__ge__"):
    setattr(Tensor, _name, _compare(_name))

Tensor.__neg__ = lambda self: elementwise.negative(self)
Tensor.__abs__ = lambda self: functions.abs(self)
Tensor.__getitem__ = lambda self, key: shape.getitem(self, _plain(key))
Tensor.sum = lambda self, axis=None, keepdims=False: reduce.sum(self, axis=axis, keepdims=keepdims)
Tensor.mean = lambda self, axis=None, keepdims=False: reduce.mean(self, axis=axis, keepdims=keepdims)
Tensor.max = lambda self, axis=None, keepdims=False: reduce.max(self, axis=axis, keepdims=keepdims)
Tensor.min = lambda self, axis=None, keepdims=False: reduce.min(self, axis=axis, keepdims=keepdims)
Tensor.var = lambda self, axis=None, keepdims=False: reduce.var(self, axis=axis, keepdims=keepdims)
Tensor.reshape = lambda self, *lengths: shape.reshape(
    self, lengths[0] if len(lengths) == 1 and isinstance(lengths[0], tuple | list) else lengths
)
Tensor.transpose = lambda self, *axes: shape.transpose(self, axes or None)
Tensor.T = property(lambda self: shape.transpose(self))


def _plain(key):
    return tuple(as_data(k) for k in key) if isinstance(key, tuple) else as_data(key)
