"""Adam and its relatives."""

import functools
import math
from dataclasses import dataclass
from typing import ClassVar

import plugrad as pg
from plugrad.errors import InputError
from plugrad.kernels import optimizer as kernels
from plugrad_optimizers.checks import check_positive, check_share


@functools.lru_cache(maxsize=64)
def _shares(kind, beta1, beta2, epsilon):
    """(beta1, 1 - beta1, beta2, 1 - beta2, epsilon) in the type of the values: making them takes a µs, every step."""
    return kind(beta1), kind(1 - beta1), kind(beta2), kind(1 - beta2), kind(epsilon)


@dataclass
class Adam(pg.Optimizer):
    """Steps of the running mean of the gradient over the root of that of its square (Kingma & Ba 2015, algorithm 1).

        mean = beta1 * mean + (1 - beta1) * gradient
        variance = beta2 * variance + (1 - beta2) * gradient**2
        value -= rate * mean / (1 - beta1**t) / (sqrt(variance / (1 - beta2**t)) + epsilon)

    beta1, beta2: in [0, 1); epsilon: positive; InputError otherwise.
    """

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    memory: ClassVar = ("mean", "variance")

    def __post_init__(self):
        super().__post_init__()
        name = type(self).__name__
        check_share(name, "beta1", self.beta1)
        check_share(name, "beta2", self.beta2)
        check_positive(name, "epsilon", self.epsilon)

    def shares(self, kind):
        """(beta1, 1 - beta1, beta2, 1 - beta2, epsilon) in the type of the values."""
        return _shares(kind, self.beta1, self.beta2, self.epsilon)

    def correction(self, step):
        """The root of the bias correction of the variance."""
        return 1 / math.sqrt(1 - self.beta2**step)

    def update(self, values, gradients, memory, rate, step):
        kind = values.dtype.type
        rate /= 1 - self.beta1**step
        shares, correction = self.shares(kind), kind(self.correction(step))
        kernels.adam(values, gradients, *memory, kind(0), kind(rate), *shares, correction)


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): before a step value *= 1 - rate * weight_decay."""

    weight_decay: float = 0.01


@dataclass
class AMSGrad(Adam):
    """Adam with the largest variance so far in place of the present one (Reddi, Kale & Kumar 2018).

    peak = max(peak, variance); value -= rate * mean / (1 - beta1**t) / (sqrt(peak / (1 - beta2**t)) + epsilon).
    """

    memory: ClassVar = ("mean", "variance", "peak")

    def update(self, values, gradients, memory, rate, step):
        kind = values.dtype.type
        rate /= 1 - self.beta1**step
        shares, correction = self.shares(kind), kind(self.correction(step))
        kernels.amsgrad(values, gradients, *memory, kind(rate), *shares, correction)


@dataclass
class NAdam(Adam):
    """Adam with Nesterov's look ahead (Dozat 2016).

        mu(t) = beta1 * (1 - 0.5 * 0.96**(t * momentum_decay))
        value -= rate * ((1 - mu(t)) / (1 - mu(1)...mu(t)) * gradient + mu(t+1) / (1 - mu(1)...mu(t+1)) * mean)
                 / (sqrt(variance / (1 - beta2**t)) + epsilon)

    momentum_decay: at least 0; InputError otherwise.
    """

    learning_rate: float = 0.002
    momentum_decay: float = 0.004

    def __post_init__(self):
        super().__post_init__()
        if not (math.isfinite(self.momentum_decay) and self.momentum_decay >= 0):
            raise InputError(f"NAdam: momentum_decay must be a number >= 0, got {self.momentum_decay!r}")
        self._last = (0, 1.0)

    def _mu(self, step):
        return self.beta1 * (1 - 0.5 * 0.96 ** (step * self.momentum_decay))

    def _product(self, step):
        """mu(1)...mu(step): a function of the step alone; that of the step before is kept to save the others."""
        last, product = self._last if self._last[0] <= step else (0, 1.0)
        for one in range(last + 1, step + 1):
            product *= self._mu(one)
        self._last = (step, product)
        return product

    def update(self, values, gradients, memory, rate, step):
        kind = values.dtype.type
        product, following = self._product(step), self._mu(step + 1)
        now = rate * (1 - self._mu(step)) / (1 - product)
        ahead = rate * following / (1 - product * following)
        shares, correction = self.shares(kind), kind(self.correction(step))
        kernels.adam(values, gradients, *memory, kind(now), kind(ahead), *shares, correction)


@dataclass
class RAdam(Adam):
    """Adam that scales by the variance only once enough gradients were seen to know it (Liu et al. 2020).

    r_max = 2 / (1 - beta2) - 1;  r = r_max - 2 t beta2**t / (1 - beta2**t)
    r > 5:  value -= rate * sqrt((r-4)(r-2) r_max / ((r_max-4)(r_max-2) r)) * mean / (1 - beta1**t)
                     * sqrt(1 - beta2**t) / (sqrt(variance) + epsilon)
    else:   value -= rate * mean / (1 - beta1**t)
    """

    def update(self, values, gradients, memory, rate, step):
        kind = values.dtype.type
        most = 2 / (1 - self.beta2) - 1
        kept = self.beta2**step
        length = most - 2 * step * kept / (1 - kept)
        rate /= 1 - self.beta1**step
        if length <= 5:
            kernels.unscaled_adam(values, gradients, *memory, kind(rate), *self.shares(kind)[:4])
            return
        trust = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
        rate *= math.sqrt(trust * (1 - kept))
        kernels.adam(values, gradients, *memory, kind(0), kind(rate), *self.shares(kind), kind(1))
