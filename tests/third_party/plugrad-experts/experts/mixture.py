"""Experts of which each row asks the best few: their number costs memory, not time."""

from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad.errors import InputError


def _drawn(rng, *shape):
    return rng.normal(size=shape) * np.sqrt(2 / shape[-2])


@dataclass
class MixtureOfExperts(pg.Layer):
    """The `active` experts that a gate likes best, weighted by its softmax over these (Shazeer et al. 2017).

    With one active expert its weight is that of the softmax over all (Fedus et al. 2021, "Switch transformers").

    (batch, ..., features) -> the same shape. Each of `experts` experts is features → hidden → features with relu. An
    expert sees only the rows that chose it. noise: in training, the deviation of what is added to the gate's logits, so
    that all experts are tried (their "noisy top-k gating"). balance: in training the loss grows by this much, times the
    number of experts, times the sum over experts of the share of rows that ask it and its mean probability: least, 1,
    where all are asked alike (Fedus et al. 2021, equation 4).
    """

    experts: int = 8
    hidden: int = 32
    active: int = 2
    noise: float = 0.0
    balance: float = 0.0

    def __post_init__(self):
        if not 1 <= self.active <= self.experts or self.hidden < 1:
            raise InputError(f"MixtureOfExperts: active must be 1 to {self.experts} and hidden at least 1, got {self}")

    def build(self, input_shape, rng):
        width = input_shape[-1]
        self.gate = pg.Parameter(_drawn(rng, width, self.experts))
        self.inner = [pg.Parameter(_drawn(rng, width, self.hidden)) for _ in range(self.experts)]
        self.outer = [pg.Parameter(_drawn(rng, self.hidden, width)) for _ in range(self.experts)]

    def forward(self, x):
        rows = pg.reshape(x, (-1, x.shape[-1]))
        logits = rows @ self.gate
        chosen = self._chosen(logits.data)
        if self.balance and len(rows.data):
            shares = np.bincount(chosen.ravel(), minlength=self.experts) / chosen.size
            likely = pg.mean(pg.softmax(logits, axis=-1), axis=0)
            pg.add_loss(pg.sum(likely * shares.astype(x.dtype)) * (self.balance * self.experts))
        places = np.arange(len(rows.data))[:, None]
        if self.active == 1:  # the softmax of one logit is 1 whatever it is, and would teach the gate nothing
            weights = pg.getitem(pg.softmax(logits, axis=-1), (places, chosen))
        else:
            weights = pg.softmax(pg.getitem(logits, (places, chosen)), axis=-1)
        total = rows * 0
        for number in range(self.experts):
            asking, rank = np.nonzero(chosen == number)
            if asking.size:
                hidden = pg.dense(pg.getitem(rows, asking), self.inner[number], activation="relu")
                answer = pg.dense(hidden, self.outer[number])
                share = pg.reshape(pg.getitem(weights, (asking, rank)), (-1, 1))
                places_of = np.broadcast_to(asking[:, None], (asking.size, x.shape[-1]))
                total = pg.scatter_add(total, 0, places_of, answer * share)
        return pg.reshape(total, x.shape)

    def _chosen(self, logits):
        """The numbers of the experts that each row asks: (rows, active)."""
        if self.noise and pg.is_training():
            seed, step, draw = pg.mode.training.next_draw()
            rng = np.random.Generator(np.random.Philox(key=[seed, step * 1000 + draw]))
            logits = logits + self.noise * rng.normal(size=logits.shape)
        return np.argsort(-logits, axis=1, kind="stable")[:, : self.active]

    @classmethod
    def example(cls):
        """Few experts, all of which are asked by some row."""
        return cls(experts=3, hidden=4, active=2), (5,)
