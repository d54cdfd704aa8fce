"""The optimizers against the recurrences of their papers in both float types; sparse tables; what is refused."""

from dataclasses import dataclass

import numpy as np
import pytest

import plugrad as pg
from plugrad.errors import InputError, LookupFailed
from plugrad.optimizer import OptimizerRun
from plugrad.parameters import ParameterStore
from plugrad_optimizers import (
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    AMSGrad,
    Lion,
    Lookahead,
    Momentum,
    NAdam,
    Nesterov,
    RAdam,
    RMSProp,
)

# w: values, g: gradient, s: what is kept, t: step, from 1


def sgd(w, g, s, t):
    return w - 0.1 * g


def momentum(w, g, s, t):
    s["v"] = 0.8 * s.get("v", 0) + g
    return w - 0.1 * s["v"]


def nesterov(w, g, s, t):
    s["v"] = 0.8 * s.get("v", 0) + g
    return w - 0.1 * (g + 0.8 * s["v"])


def adagrad(w, g, s, t):
    s["n"] = s.get("n", 0) + g**2
    return w - 0.1 * g / (np.sqrt(s["n"]) + 1e-10)


def rmsprop(w, g, s, t):
    s["n"] = 0.7 * s.get("n", 0) + 0.3 * g**2
    return w - 0.1 * g / (np.sqrt(s["n"]) + 1e-8)


def rmsprop_centred(w, g, s, t):
    s["n"] = 0.7 * s.get("n", 0) + 0.3 * g**2
    s["g"] = 0.7 * s.get("g", 0) + 0.3 * g
    return w - 0.1 * g / (np.sqrt(s["n"] - s["g"] ** 2) + 1e-2)


def rmsprop_momentum(w, g, s, t):
    s["n"] = 0.7 * s.get("n", 0) + 0.3 * g**2
    s["v"] = 0.6 * s.get("v", 0) + g / (np.sqrt(s["n"]) + 1e-2)
    return w - 0.1 * s["v"]


def rmsprop_graves(w, g, s, t):
    s["n"] = 0.7 * s.get("n", 0) + 0.3 * g**2
    s["g"] = 0.7 * s.get("g", 0) + 0.3 * g
    s["v"] = 0.6 * s.get("v", 0) + g / (np.sqrt(s["n"] - s["g"] ** 2) + 1e-2)
    return w - 0.1 * s["v"]


def moments(g, s):
    s["m"] = 0.8 * s.get("m", 0) + 0.2 * g
    s["v"] = 0.95 * s.get("v", 0) + 0.05 * g**2
    return s["m"], s["v"]


def adam(w, g, s, t):
    m, v = moments(g, s)
    return w - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-3)


def adamw(w, g, s, t):
    return adam(w * (1 - 0.1 * 0.3), g, s, t)


def amsgrad(w, g, s, t):
    m, v = moments(g, s)
    s["top"] = np.maximum(s.get("top", 0), v)
    return w - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(s["top"] / (1 - 0.95**t)) + 1e-3)


def nadam(w, g, s, t):
    m, v = moments(g, s)
    mu = [0.8 * (1 - 0.5 * 0.96 ** (i * 0.004)) for i in range(t + 2)]
    product = np.prod(mu[1 : t + 1])
    ahead = mu[t + 1] * m / (1 - product * mu[t + 1]) + (1 - mu[t]) * g / (1 - product)
    return w - 0.1 * ahead / (np.sqrt(v / (1 - 0.95**t)) + 1e-3)


def radam(w, g, s, t):
    m, v = moments(g, s)
    most = 2 / (1 - 0.95) - 1
    r = most - 2 * t * 0.95**t / (1 - 0.95**t)
    mean = m / (1 - 0.8**t)
    if r <= 5:
        return w - 0.1 * mean
    trust = np.sqrt((r - 4) * (r - 2) * most / ((most - 4) * (most - 2) * r))
    return w - 0.1 * trust * mean * np.sqrt(1 - 0.95**t) / (np.sqrt(v) + 1e-3)


def lion(w, g, s, t):
    m = s.get("m", 0)
    s["m"] = 0.95 * m + 0.05 * g
    return w - 0.1 * np.sign(0.8 * m + 0.2 * g)


def lookahead(w, g, s, t):
    slow = s.setdefault("slow", w)
    w = momentum(w, g, s, t)
    if t % 3 == 0:
        s["slow"] = w = slow + 0.4 * (w - slow)
    return w


SHARES = {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3}
RECURRENCES = [
    (SGD(0.1), sgd),
    (Momentum(0.1, momentum=0.8), momentum),
    (Nesterov(0.1, momentum=0.8), nesterov),
    (AdaGrad(0.1), adagrad),
    (RMSProp(0.1, decay=0.7), rmsprop),
    (RMSProp(0.1, decay=0.7, epsilon=1e-2, centred=True), rmsprop_centred),
    (RMSProp(0.1, decay=0.7, epsilon=1e-2, momentum=0.6), rmsprop_momentum),
    (RMSProp(0.1, decay=0.7, epsilon=1e-2, momentum=0.6, centred=True), rmsprop_graves),
    (Adam(0.1, **SHARES), adam),
    (AdamW(0.1, **SHARES, weight_decay=0.3), adamw),
    (AMSGrad(0.1, **SHARES), amsgrad),
    (NAdam(0.1, **SHARES), nadam),
    (RAdam(0.1, **SHARES), radam),
    (Lion(0.1, beta1=0.8, beta2=0.95), lion),
    (Lookahead(Momentum(0.1, momentum=0.8), steps=3, alpha=0.4), lookahead),
]


@pytest.mark.parametrize(("optimizer", "recurrence"), RECURRENCES, ids=[r.__name__ for _, r in RECURRENCES])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_optimizer_follows_its_paper(optimizer, recurrence, dtype):
    rng = np.random.default_rng(3)
    parameter = pg.Parameter(rng.normal(size=16).astype(dtype))
    run = OptimizerRun(optimizer, ParameterStore([parameter]))
    expected, state = parameter.data.astype(np.float64), {}
    for step in range(1, 51):
        g = rng.normal(size=16).astype(dtype)
        parameter.gradient_memory[:] = g
        parameter.grad = parameter.gradient_memory
        run.step()
        expected = recurrence(expected, g.astype(np.float64), state, step)
    np.testing.assert_allclose(parameter.data, expected, rtol=0, atol=1e-10 if dtype == np.float64 else 4e-5)


@pytest.mark.parametrize("optimizer", [Adam(), RMSProp(decay=0.999), AMSGrad(), NAdam(), RAdam()])
def test_running_means_keep_float32s_precision(optimizer):
    values, gradients = np.zeros(16, np.float32), np.ones(16, np.float32)
    memory = tuple(np.zeros(16, np.float32) for _ in optimizer.memory)
    optimizer.update(values, gradients, memory, 0.001, 1)
    np.testing.assert_allclose(memory[-1], 1e-3, rtol=1e-6)


def test_a_constant_gradient_does_not_break_the_centred_form():
    optimizer = RMSProp(0.01, centred=True)
    values, memory = np.zeros(64, np.float32), (np.zeros(64, np.float32), np.zeros(64, np.float32))
    for step in range(1, 200):
        optimizer.update(values, np.full(64, 0.3, np.float32), memory, 0.01, step)
    assert np.isfinite(values).all()


def test_not_a_number_is_carried_and_not_taken_for_no_step():
    values, memory = np.zeros(4, np.float32), (np.zeros(4, np.float32),)
    Lion().update(values, np.array([1, np.nan, -1, 0], np.float32), memory, 0.5, 1)
    np.testing.assert_array_equal(values, [-0.5, np.nan, 0.5, 0])


def test_memory_is_what_the_configuration_needs():
    assert RMSProp().memory == ("squares",)
    assert RMSProp(centred=True, momentum=0.5).memory == ("squares", "mean", "velocity")
    assert Lookahead("Adam").memory == ("slow", "inner.mean", "inner.variance")
    assert Lookahead(Lookahead("SGD")).memory == ("slow", "inner.slow")


def test_nadam_depends_on_the_step_alone():
    fresh, used = NAdam(), NAdam()
    for step in (9, 2, 9):
        used._product(step)
    for step in (1, 5, 6, 3):
        assert used._product(step) == fresh._product(step)


def test_lookahead_takes_rate_and_decay_from_the_inner_one():
    optimizer = Lookahead({"name": "AdamW", "learning_rate": 0.3, "weight_decay": 0.2}, steps=4)
    assert (optimizer.learning_rate, optimizer.weight_decay, optimizer.steps) == (0.3, 0.2, 4)
    assert optimizer == Lookahead(AdamW(0.3, weight_decay=0.2), steps=4)
    assert pg.registry().create("optimizers", {"name": "Lookahead", "inner": "SGD", "alpha": 0.1}).inner == SGD()
    with pytest.raises(LookupFailed, match="Adam"):
        Lookahead("Adm")


@dataclass
class Plain(pg.Optimizer):
    """Made without a thought of sparse parameters."""

    memory = ("mean",)

    def update(self, values, gradients, memory, rate, step):
        memory[0][:] += gradients
        values -= values.dtype.type(rate) * memory[0]


ROWS = 9
ALL = [o for o, _ in RECURRENCES] + [Plain(0.1)]


def advance(optimizer, sparse, used, dtype=np.float64, steps=6, decay=True):
    """A table after some steps; `used` gives the rows of each."""
    rng = np.random.default_rng(5)
    table = pg.Parameter(rng.normal(size=(ROWS, 3)).astype(dtype), sparse=sparse, decay=decay)
    store = ParameterStore([table, pg.Parameter(np.ones(4, dtype))])
    run = OptimizerRun(optimizer, store)
    for step in range(steps):
        store.zero_grad()
        ids = used(step)
        weights = rng.normal(size=(len(ids), 3)).astype(dtype)
        (pg.embedding(table, ids, sparse=sparse) * weights).sum().backward()
        run.step()
    return table.data, run


@pytest.mark.parametrize("optimizer", ALL, ids=[type(o).__name__ for o in ALL])
def test_a_sparse_table_of_which_all_rows_are_used_is_the_dense_one(optimizer):
    def used(step):
        return np.random.default_rng(step).permutation(np.repeat(np.arange(ROWS), 2))

    np.testing.assert_allclose(
        advance(optimizer, True, used)[0], advance(optimizer, False, used)[0], rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize("optimizer", [SGD(0.1), AdaGrad(0.1), Lookahead("SGD", steps=2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_where_no_memory_fades_sparse_is_dense(optimizer, dtype):
    def used(step):
        return np.random.default_rng(step).integers(0, ROWS, size=4)

    got, expected = (advance(optimizer, sparse, used, dtype)[0] for sparse in (True, False))
    np.testing.assert_allclose(got, expected, rtol=1e-6 if dtype == np.float32 else 1e-13, atol=1e-7)


def test_rows_that_a_step_does_not_use_keep_values_memory_and_decay():
    def used(step):
        return np.array([1, 4, 4])

    table, run = advance(AdamW(0.1, weight_decay=0.5), True, used)
    start = np.random.default_rng(5).normal(size=(ROWS, 3))
    others = np.setdiff1d(np.arange(ROWS), [1, 4])
    np.testing.assert_array_equal(table[others], start[others])
    assert not run.table_memory[0][0][others].any()
    assert run.table_memory[0][0][[1, 4]].all()
    kept, _ = advance(AdamW(0.1, weight_decay=0.5), True, used, decay=False)
    assert (abs(kept[[1, 4]] - table[[1, 4]]) > 1e-3).any()
    assert sorted(name for name, _ in run.named_memory()) == [
        "mean", "mean.sparse.0", "variance", "variance.sparse.0"
    ]  # fmt: skip


def test_many_rows_go_in_blocks_and_give_the_same_bits_on_two_threads():
    rng = np.random.default_rng(0)
    ids, start = rng.integers(0, 3000, size=4000), rng.normal(size=(3000, 33)).astype(np.float32)
    weights = rng.normal(size=(4000, 33)).astype(np.float32)
    found, before = [], pg.get_threads()
    try:
        for threads, sparse in ((1, True), (min(2, before), True), (1, False), (min(2, before), False)):
            pg.set_threads(threads)
            table = pg.Parameter(start.copy(), sparse=sparse)
            store = ParameterStore([table])
            run = OptimizerRun(AdaGrad(0.1), store)
            for _ in range(3):
                store.zero_grad()
                (pg.embedding(table, ids, sparse=sparse) * weights).sum().backward()
                store.clip_norm(1.0)
                run.step()
            found.append(table.data.copy())
    finally:
        pg.set_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2], found[3])
    np.testing.assert_allclose(found[0], found[2], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: SGD(-1), "learning_rate"), (lambda: SGD(float("nan")), "learning_rate"),
        (lambda: AdamW(weight_decay=-0.1), "weight_decay"), (lambda: Momentum(momentum=1.0), "momentum"),
        (lambda: Adam(beta1=-0.1), "beta1"), (lambda: Adam(beta2=1.0), "beta2"), (lambda: Adam(epsilon=0), "epsilon"),
        (lambda: RMSProp(decay=2), "decay"), (lambda: RMSProp(momentum=-1), "momentum"),
        (lambda: AdaGrad(epsilon=-1), "epsilon"), (lambda: NAdam(momentum_decay=-1), "momentum_decay"),
        (lambda: NAdam(momentum_decay=float("inf")), "momentum_decay"), (lambda: Lion(beta2=1), "beta2"),
        (lambda: Lookahead("SGD", steps=0), "steps"), (lambda: Lookahead("SGD", alpha=0), "alpha"),
        (lambda: Lookahead("SGD", alpha=2), "alpha"), (lambda: Lookahead(3), "inner"),
    ],
)  # fmt: skip
def test_fields_are_checked(make, field):
    with pytest.raises(InputError, match=field) as caught:
        make()
    assert "\n" not in str(caught.value)


@dataclass
class Shaped(pg.Optimizer):
    """SGD that is given each parameter by itself."""

    by_parameter = True

    def update(self, values, gradients, memory, rate, step):
        assert values.shape == gradients.shape
        values -= values.dtype.type(rate) * gradients


@pytest.mark.parametrize("shape", [(6, 5), (4, 3, 2), (7,), (5, 1)])
def test_lookahead_over_an_optimizer_by_parameter(shape):
    found = []
    for inner in (SGD(0.1), Shaped(0.1)):
        parameters = [pg.Parameter(np.random.default_rng(0).normal(size=shape)) for _ in range(2)]
        store = ParameterStore(parameters)
        run = OptimizerRun(Lookahead(inner, steps=2, alpha=0.25), store)
        for step in range(5):
            for number, parameter in enumerate(parameters):
                parameter.gradient_memory[...] = np.random.default_rng([step, number]).normal(size=shape)
                parameter.grad = parameter.gradient_memory
            run.step()
        found.append([parameter.data.copy() for parameter in parameters])
    for expected, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)
