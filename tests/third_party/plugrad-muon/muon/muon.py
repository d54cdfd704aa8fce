"""Muon: the momentum of a matrix, made orthogonal."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import plugrad as pg
from plugrad import prange

_QUINTIC = 3.4445, -4.7750, 2.0315  # takes singular values between 0 and 1 near to 1 in five rounds
ROUNDS = 5


@pg.kernel
def adam_step(values, gradients, mean, square, beta1, beta2, rate, correction, epsilon):
    """Adam, for what is no matrix."""
    one = values.dtype.type(1)
    for i in prange(values.size):
        mean[i] = beta1 * mean[i] + (one - beta1) * gradients[i]
        square[i] = beta2 * square[i] + (one - beta2) * gradients[i] * gradients[i]
        values[i] -= rate * mean[i] / (np.sqrt(square[i] * correction) + epsilon)


def orthogonal(matrix):
    """U Vᵀ of a matrix U S Vᵀ, nearly: singular values come out between 0.6 and 1.3 (Newton–Schulz iteration)."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = np.ascontiguousarray(matrix.T if tall else matrix)
    x = x / (np.linalg.norm(x) + x.dtype.type(1e-7))
    a, b, c = map(x.dtype.type, _QUINTIC)
    with pg.no_grad():
        for _ in range(ROUNDS):
            squared = pg.matmul(x, np.ascontiguousarray(x.T)).data
            x = a * x + pg.matmul(b * squared + c * pg.matmul(squared, squared).data, x).data
    return x.T if tall else x


@dataclass
class Muon(pg.Optimizer):
    """Steps whose matrices have singular values near 1 (Jordan et al. 2024, "Muon"); Adam for vectors.

    learning_rate, beta: of matrices, with Nesterov's momentum; a parameter of more axes is a matrix of its last one.
    vector_rate: Adam's, as a multiple of learning_rate.
    """

    learning_rate: float = 0.02
    beta: float = 0.95
    vector_rate: float = 0.15
    memory: ClassVar = ("momentum", "square")
    by_parameter: ClassVar = True

    def update(self, values, gradients, memory, rate, step):
        kind = values.dtype.type
        momentum, square = memory
        if values.ndim < 2 or 1 in (values.shape[-1], values.size // max(values.shape[-1], 1)):
            flat = (array.reshape(-1) for array in (values, gradients, momentum, square))
            rate = rate * self.vector_rate / (1 - 0.9**step)
            adam_step(*flat, kind(0.9), kind(0.999), kind(rate), kind(1 / (1 - 0.999**step)), kind(1e-8))
            return
        momentum *= kind(self.beta)
        momentum += gradients
        ahead = gradients + kind(self.beta) * momentum
        matrix = ahead.reshape(-1, values.shape[-1])
        scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        values -= kind(rate * scale) * orthogonal(matrix).reshape(values.shape)

    @classmethod
    def example(cls):
        """A rate that suits small problems."""
        return cls(learning_rate=0.02, vector_rate=1.0)
