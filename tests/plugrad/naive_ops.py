"""What the kernels should give, written without them: Python's own numbers and plain sums in float64."""

import math

import numpy as np

MASK_32 = 0xFFFFFFFF

ACTIVATIONS = {
    None: lambda z: z,
    "relu": lambda z: z if z > 0 or z != z else 0.0,
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else math.expm1(z),
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * math.expm1(z)),
    "gelu": lambda z: 0.5 * z * math.erfc(-z / math.sqrt(2)),
    "gelu_tanh": lambda z: 0.5 * z * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
    "relu6": lambda z: min(max(z, 0.0), 6.0),
    "celu": lambda z: z if z > 0 else math.expm1(z),
    "mish": lambda z: z * math.tanh(math.log1p(math.exp(z))) if z < 30 else z,
    "hard_swish": lambda z: z * min(max(z + 3, 0.0), 6.0) / 6,
    "hard_sigmoid": lambda z: min(max(z + 3, 0.0), 6.0) / 6,
    "log_sigmoid": lambda z: -math.log1p(math.exp(-z)) if z > -30 else z,
    "hard_tanh": lambda z: min(max(z, -1.0), 1.0),
    "softsign": lambda z: z / (1 + abs(z)),
    "silu": lambda z: z * sigmoid(z),
    "sigmoid": lambda z: sigmoid(z),
    "tanh": math.tanh,
    "softplus": lambda z: math.log1p(math.exp(z)) if z < 30 else z,
}


def sigmoid(z):
    return 1 / (1 + math.exp(-z)) if z > -700 else 0.0


def elementwise(function, x):
    """function of every element, as float64."""
    return np.array([function(float(v)) for v in np.ravel(x)]).reshape(np.shape(x))


def matmul(a, b):
    """a (m, k) · b (k, n), each element the exactly rounded sum of its products if small, else a plain sum."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.array([[(row * column).sum() for column in b.T] for row in a]).reshape(len(a), b.shape[1])


def dense(x, weight, bias=None, activation=None):
    """activation(x · weight + bias) for x (m, k)."""
    z = matmul(x, weight)
    if bias is not None:
        z = z + np.asarray(bias, np.float64)
    return elementwise(ACTIVATIONS[activation], z)


def dense_gradients(x, weight, bias, activation, g):
    """The gradients with respect to x, weight and bias, the activation's slope taken from differences."""
    z = matmul(x, weight) + np.asarray(bias, np.float64)
    act, step = ACTIVATIONS[activation], 1e-6
    slope = elementwise(lambda v: (act(v + step) - act(v - step)) / (2 * step), z)
    dz = np.asarray(g, np.float64) * slope
    return matmul(dz, np.asarray(weight).T), matmul(np.asarray(x).T, dz), dz.sum(axis=0)


def transpose(source):
    target = np.empty((source.shape[1], source.shape[0]), source.dtype)
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[j, i] = source[i, j]
    return target


def softmax(row):
    """Of a list of numbers, the largest taken out first."""
    top = max(row)
    powers = [math.exp(v - top) for v in row]
    total = math.fsum(powers)
    return [p / total for p in powers]


def logsumexp(row):
    top = max(row)
    return top + math.log(math.fsum(math.exp(v - top) for v in row))


def mean_over(function, prediction, target):
    """The mean of function(p, t) over all pairs of elements."""
    pairs = zip(np.ravel(prediction).tolist(), np.ravel(target).tolist(), strict=True)
    terms = [function(p, t) for p, t in pairs]
    return math.fsum(terms) / len(terms)


def huber(p, t, delta=1.0):
    d = abs(p - t)
    return d * d / 2 if d <= delta else delta * (d - delta / 2)


def binary_cross_entropy(p, t):
    """-t log s - (1 - t) log (1 - s) with s = sigmoid(p), through log1p so that large p stay finite."""
    return (
        t * math.log1p(math.exp(-p)) + (1 - t) * (p + math.log1p(math.exp(-p)))
        if p > 0
        else (t * (math.log1p(math.exp(p)) - p) + (1 - t) * math.log1p(math.exp(p)))
    )


def cross_entropy(logits, target):
    """target: a label for every row, or a row of probabilities."""
    terms = []
    for row, t in zip(logits.tolist(), target.tolist(), strict=True):
        weights = t if isinstance(t, list) else [float(j == t) for j in range(len(row))]
        total = logsumexp(row)
        terms.append(math.fsum(w * (total - v) for w, v in zip(weights, row, strict=True)))
    return math.fsum(terms) / len(terms)


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011) on Python's integers."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        first, second = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (second >> 32) ^ c1 ^ k0, second & MASK_32, (first >> 32) ^ c3 ^ k1, first & MASK_32
        k0, k1 = (k0 + 0x9E3779B9) & MASK_32, (k1 + 0xBB67AE85) & MASK_32
    return c0, c1, c2, c3


def kept(size, rate, key):
    """Whether dropout keeps each of `size` elements for the key (seed, step, draw)."""
    seed, step, draw = key
    words = []
    for block in range((size + 3) // 4):
        words += philox((block & MASK_32, block >> 32, draw, step), (seed & MASK_32, seed >> 32))
    return np.array([word >= round(rate * 2**32) for word in words[:size]])
