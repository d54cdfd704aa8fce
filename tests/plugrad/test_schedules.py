"""The schedules against their formulas, and what they refuse."""

import math

import pytest

import plugrad as pg
from plugrad.errors import InputError
from plugrad_optimizers import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    Linear,
    OneCycle,
    Polynomial,
    ReduceOnPlateau,
    Step,
    WarmUp,
)


def factors(schedule, steps):
    return [schedule(step, steps) for step in range(steps)]


def test_steps_and_curves():
    assert factors(Constant(), 3) == [1, 1, 1]
    assert factors(Step(2, 0.5), 6) == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert factors(Exponential(2, 0.25), 5) == pytest.approx([1, 0.5, 0.25, 0.125, 0.0625])
    assert factors(Linear(0.2), 4) == pytest.approx([1, 0.8, 0.6, 0.4])
    assert factors(Polynomial(0.2, power=2), 4) == pytest.approx([1, 0.2 + 0.8 * 0.5625, 0.4, 0.25])
    assert [Linear(0.2)(step, 4) for step in (4, 9)] == [0.2, 0.2]
    assert [Cosine(0.2)(step, 4) for step in (0, 2, 4, 9)] == pytest.approx([1, 0.6, 0.2, 0.2])


def test_cosine_restarts():
    half = [1, (1 + math.cos(math.pi / 4)) / 2, 0.5, (1 + math.cos(3 * math.pi / 4)) / 2]
    assert factors(CosineRestarts(4, growth=1), 8) == pytest.approx(half * 2)
    longer = [(1 + math.cos(math.pi * i / 4)) / 2 for i in range(4)]
    assert factors(CosineRestarts(2, growth=2), 6) == pytest.approx([1, 0.5, *longer])
    assert CosineRestarts(1, growth=1)(10**9, 5) == 1


def test_one_cycle():
    # As PyTorch's OneCycleLR(max_lr=1, total_steps=10, pct_start=0.3, div_factor=25, final_div_factor=1e4).
    cycle = factors(OneCycle(), 10)
    low, end = 1 / 25, 1 / 25e4
    assert cycle[:3] == pytest.approx([low, (1 + low) / 2, 1])
    assert cycle[9] == pytest.approx(end)
    expected = [end + (1 - end) * (1 + math.cos(math.pi * (step - 2) / 7)) / 2 for step in range(3, 10)]
    assert cycle[3:] == pytest.approx(expected)
    lines = factors(OneCycle(rise=0.5, divisor=4, final_divisor=2, shape="linear"), 9)
    assert lines[0] == 0.25
    assert lines[8] == pytest.approx(0.125)
    assert max(lines) <= 1
    for rise in (0, 1):
        assert all(0 < f <= 1 for f in factors(OneCycle(rise=rise), 7))


def test_warm_up():
    warm = WarmUp(steps=4, then=Cosine())
    assert [warm(step, 8) for step in (0, 1, 3, 4, 6)] == pytest.approx([0.25, 0.5, 1, 1, 0.5])
    assert factors(WarmUp(fraction=0.5), 4) == [0.5, 1, 1, 1]
    assert WarmUp(steps=0)(0, 4) == 1


def test_warm_up_takes_the_description_of_what_follows():
    schedule = pg.registry().create("schedules", {"name": "WarmUp", "steps": 2, "then": {"name": "Step", "every": 1}})
    assert [schedule(step, 5) for step in range(4)] == pytest.approx([0.5, 1, 1, 0.1])
    assert WarmUp(steps=1, then="Cosine")(1, 5) == 1


def observed(schedule, losses):
    """The factor after each epoch."""
    schedule.begin()
    found = []
    for epoch, loss in enumerate(losses, 1):
        schedule.observe(epoch, loss)
        found.append(schedule(epoch, 100))
    return found


def test_reduce_on_plateau():
    losses = [5, 4, 4, 4, 4, 4, 3, 4, 4]
    assert observed(ReduceOnPlateau(0.5, patience=2), losses) == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
    resting = observed(ReduceOnPlateau(0.5, patience=2, cooldown=1), losses)
    assert resting == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25]
    assert observed(ReduceOnPlateau(0.5, patience=1, floor=0.3), losses)[-1] == 0.3
    assert observed(ReduceOnPlateau(0.5, patience=2, min_delta=1.5), losses)[:4] == [1, 1, 0.5, 0.5]
    assert observed(ReduceOnPlateau(0.5, patience=2), [1, math.nan, math.nan]) == [1, 1, 0.5]


def test_warm_up_shows_the_losses_to_what_follows():
    schedule = WarmUp(steps=1, then=ReduceOnPlateau(0.5, patience=1))
    assert observed(schedule, [1, 1, 1]) == [1, 0.5, 0.25]
    schedule.begin()
    assert schedule(3, 9) == 1


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Step(0), "every"), (lambda: Step(3, factor=0), "factor"), (lambda: Exponential(0), "every"),
        (lambda: Exponential(factor=-1), "factor"), (lambda: Linear(2), "Linear: floor"), (lambda: Cosine(2), "floor"),
        (lambda: Polynomial(-1), "Polynomial: floor"), (lambda: Polynomial(power=0), "power"),
        (lambda: CosineRestarts(0), "first"), (lambda: CosineRestarts(1, growth=0), "growth"),
        (lambda: OneCycle(rise=2), "rise"), (lambda: OneCycle(divisor=0), "divisor"),
        (lambda: OneCycle(final_divisor=-1), "final_divisor"), (lambda: OneCycle(shape="round"), "shape"),
        (lambda: WarmUp(steps=-1), "steps"), (lambda: WarmUp(fraction=2), "fraction"), (lambda: WarmUp(then=3), "then"),
        (lambda: ReduceOnPlateau(1.0), "factor"), (lambda: ReduceOnPlateau(patience=0), "patience"),
        (lambda: ReduceOnPlateau(cooldown=-1), "cooldown"), (lambda: ReduceOnPlateau(min_delta=-1), "min_delta"),
        (lambda: ReduceOnPlateau(floor=2), "floor"),
    ],
)  # fmt: skip
def test_fields_are_checked(make, field):
    with pytest.raises(InputError, match=field) as caught:
        make()
    assert "\n" not in str(caught.value)
