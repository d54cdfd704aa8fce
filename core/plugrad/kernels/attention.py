"""Scaled dot-product attention in blocks: no array of length x length is ever made.

A block of QUERIES queries meets the keys KEYS at a time. The largest score and the sum of exponentials so far are kept
for each query, and what was summed before is scaled down when a larger score comes (Dao, "FlashAttention-2", 2023). The
backward pass computes the blocks of scores again from the logarithm of each query's sum.

Blocks of scores lie keys down, queries across: maxima and sums over the keys are then sums of whole vectors, never
across one, and the register tile reads keys, values and (in the backward pass) queries where they lie. Only a block of
queries (and of output gradients) must be turned.
"""

from math import log

import numpy as np

from plugrad.kernel import kernel, prange
from plugrad.kernels.exponential import exp
from plugrad.kernels.product import multiply_block
from plugrad.kernels.random import keep_run
from plugrad.kernels.tile import VECTOR_BYTES
from plugrad.kernels.transpose import turn

# Scores of a block: 64 x 64 float32 are 16 KiB, half of a usual first-level cache. QUERIES is a multiple of 4, the
# number of words that Philox makes together.
QUERIES = 64
KEYS = 64
# Keys for whose weights random numbers are made together: enough for the vector loop to be long.
DROPPED = 8
# Fixed shares of work, each with scratch of its own, whatever the number of threads.
SHARES = 16
# What `form` holds.
LENGTH, SOURCE, WIDTH, VALUE_WIDTH, Q_STEP, K_STEP, V_STEP, OUT_STEP, BIAS_STEP, BIAS_ACROSS, CAUSAL, GROUP = range(12)
# What `random` holds.
SEED, STEP, DRAW, THRESHOLD = range(4)
# The columns of `places`.
Q_PLACE, K_PLACE, V_PLACE, OUT_PLACE, BIAS_PLACE = range(5)


def scratch_size(width, value_width):
    """Elements of scratch that a share of the backward pass needs; the forward pass needs fewer."""
    return QUERIES * (width + value_width + 2 * KEYS + DROPPED + 3)


@kernel
def turn_block(x, place, step, rows, columns, factor, target):
    """target[j, i] = factor * x[place + i*step + j] for i < rows and j < columns."""
    size = x.itemsize
    lanes = VECTOR_BYTES // size
    whole_rows, whole_columns = rows // lanes * lanes, columns // lanes * lanes
    for i in range(0, whole_rows, lanes):
        for j in range(0, whole_columns, lanes):
            at_source = x.ctypes.data + (place + i * step + j) * size
            turn(x, at_source, step, target.ctypes.data + (j * QUERIES + i) * size, QUERIES)
    for i in range(rows):
        row = x[place + i * step : place + i * step + columns]
        for j in range(whole_columns if i < whole_rows else 0, columns):
            target[j, i] = row[j]
    for j in range(columns):
        row = target[j, :rows]
        for i in range(rows):
            row[i] *= factor


@kernel
def scores_of_block(
    q, k, bias, key_mask, places, form, unit, first_query, queries, first_key, keys, turned, scores
):  # fmt: skip
    """scores[j, i] = key j · query i of a unit's block, with the bias added and -inf where a key takes no part."""
    size = k.itemsize
    at_keys = k.ctypes.data + (places[unit, K_PLACE] + first_key * form[K_STEP]) * size
    at_turned, at_scores = turned.ctypes.data, scores.ctypes.data
    # A bias with a number for each query lies like the scores, so that the tile can start from it.
    at_bias, bias_step = 0, 0
    if bias.size and form[BIAS_ACROSS]:
        bias_step = form[BIAS_STEP]
        at_bias = bias.ctypes.data + (places[unit, BIAS_PLACE] + first_key * bias_step + first_query) * size
    multiply_block(
        k, at_keys, form[K_STEP], 1, at_turned, QUERIES, at_bias, bias_step, at_scores, QUERIES,
        keys, queries, form[WIDTH], 0,
    )  # fmt: skip
    nothing = k.dtype.type(-np.inf)
    for j in range(keys):
        row = scores[j, :queries]
        key = first_key + j
        if key_mask.size and not key_mask[unit // form[GROUP], key]:
            row[:] = nothing
            continue
        if bias.size and not form[BIAS_ACROSS]:
            add = bias[places[unit, BIAS_PLACE] + key * form[BIAS_STEP]]
            for i in range(queries):
                row[i] += add
        if form[CAUSAL]:
            for i in range(min(queries, key - first_query)):
                row[i] = nothing


@kernel
def mask_step(form, first_query):
    """Elements from one key's dropout mask to the next in a block: its queries, up to a multiple of 4."""
    return min(QUERIES, (form[LENGTH] + 3) // 4 * 4 - first_query)


@kernel
def keep_rows(random, keep, form, unit, first_query, first_key, keys, mask):
    """The dropout masks of some keys of a block, mask_step apart.

    Places are counted by units, within a unit by blocks of queries, and within a block by keys, so that a block is one
    run of places.
    """
    step = mask_step(form, first_query)
    rows = (form[LENGTH] + 3) // 4 * 4
    place = (unit * rows + first_query) * form[SOURCE] + first_key * step
    run = mask[: keys * step]
    keep_run(random[SEED], random[STEP], random[DRAW], np.uint64(place // 4), random[THRESHOLD], keep, run)


@kernel
def weigh_block(scores, top, total, shrink):
    """Turn scores into exp(score - top), after taking the block into top and total; shrink is by how much top rose."""
    zero = scores.dtype.type(0)
    lowest = scores.dtype.type(-np.inf)
    queries = top.size
    shrink[:] = top
    for j in range(scores.shape[0]):
        row = scores[j, :queries]
        for i in range(queries):
            top[i] = row[i] if row[i] > top[i] else top[i]
    for i in range(queries):
        # While a query has met no key that takes part, its largest score is -inf, and -inf - -inf is not a number.
        base = top[i] if top[i] > lowest else zero
        shrink[i] = exp(shrink[i] - base)
        total[i] *= shrink[i]
    for j in range(scores.shape[0]):
        row = scores[j, :queries]
        for i in range(queries):
            weight = exp(row[i] - (top[i] if top[i] > lowest else zero))
            row[i] = weight
            total[i] += weight


@kernel
def drop_block(random, keep, form, unit, first_query, queries, first_key, mask, weights):
    """Dropout of a block of weights."""
    step = mask_step(form, first_query)
    for j in range(weights.shape[0]):
        if j % DROPPED == 0:
            keys = min(DROPPED, weights.shape[0] - j)
            keep_rows(random, keep, form, unit, first_query, first_key + j, keys, mask)
        row, factor = weights[j, :queries], mask[j % DROPPED * step : j % DROPPED * step + queries]
        for i in range(queries):
            row[i] *= factor[i]


@kernel
def scale_rows(x, place, step, columns, factors):
    """Row i of a matrix within x times factors[i]."""
    for i in range(factors.size):
        row, factor = x[place + i * step : place + i * step + columns], factors[i]
        for j in range(columns):
            row[j] *= factor


@kernel(inline=False)
def attend_block(
    q, k, v, bias, key_mask, places, form, scale, random, keep, unit, first_query, scratch, out, logsum
):  # fmt: skip
    """The rows of out and logsum for one block of a unit's queries."""
    source, width, value_width, step = form[SOURCE], form[WIDTH], form[VALUE_WIDTH], form[OUT_STEP]
    queries = min(QUERIES, form[LENGTH] - first_query)
    turned = scratch[: width * QUERIES].reshape(width, QUERIES)
    start = width * QUERIES
    scores = scratch[start : start + KEYS * QUERIES].reshape(KEYS, QUERIES)
    start += KEYS * QUERIES
    top, total = scratch[start : start + queries], scratch[start + QUERIES : start + QUERIES + queries]
    start += 2 * QUERIES
    shrink, mask = scratch[start : start + queries], scratch[start + QUERIES : start + (1 + DROPPED) * QUERIES]
    infinity = q.dtype.type(np.inf)
    size = q.itemsize
    place = places[unit, OUT_PLACE] + first_query * step
    at_out = out.ctypes.data + place * size
    turn_block(q, places[unit, Q_PLACE] + first_query * form[Q_STEP], form[Q_STEP], queries, width, scale, turned)
    top[:] = -infinity
    total[:] = 0
    last_key = min(source, first_query + queries) if form[CAUSAL] else source
    for first_key in range(0, last_key, KEYS):
        keys = min(KEYS, last_key - first_key)
        scores_of_block(
            q, k, bias, key_mask, places, form, unit, first_query, queries, first_key, keys, turned, scores
        )  # fmt: skip
        weigh_block(scores[:keys], top, total, shrink)
        if random[THRESHOLD]:
            drop_block(random, keep, form, unit, first_query, queries, first_key, mask, scores[:keys])
        if first_key:
            scale_rows(out, place, step, value_width, shrink)
        at_values = v.ctypes.data + (places[unit, V_PLACE] + first_key * form[V_STEP]) * size
        multiply_block(
            v, scores.ctypes.data, 1, QUERIES, at_values, form[V_STEP], at_out if first_key else 0, step,
            at_out, step, queries, value_width, keys, 0,
        )  # fmt: skip
    sums = logsum[unit, first_query : first_query + queries]
    for i in range(queries):
        sums[i] = top[i] + log(total[i])
        shrink[i] = 1 / total[i]
    scale_rows(out, place, step, value_width, shrink)
    for i in range(queries):
        if total[i] == 0:  # no key takes part: exp(score - inf) gives weights of 0 in the backward pass too
            sums[i] = infinity
            out[place + i * step : place + i * step + value_width] = 0


@kernel
def attention_forward(q, k, v, bias, key_mask, places, form, scale, random, keep, scratch, out, logsum):
    """out = softmax(scale · q·kᵀ + bias) · v for many units (a head of a sample each), and the logarithms of the sums.

    q, k, v, out: flat, of one type; unit u's matrices begin at places[u] and their rows lie form's steps apart, so that
    heads may lie beside one another in one buffer. bias: flat, keys down and queries across, or one number for each key
    where form[BIAS_ACROSS] is 0; size 0 for none. key_mask (samples, source) uint8 or size 0: 0 takes a key out
    for the form[GROUP] units of a sample. random: seed, step, draw and threshold of the dropout, uint64, threshold 0
    for none; keep: what remaining weights are multiplied by. scratch (SHARES, scratch_size). logsum (units, length).
    """
    blocks = (form[LENGTH] + QUERIES - 1) // QUERIES
    tasks = places.shape[0] * blocks
    for share in prange(SHARES):
        for task in range(share * tasks // SHARES, (share + 1) * tasks // SHARES):
            attend_block(
                q, k, v, bias, key_mask, places, form, scale, random, keep,
                task // blocks, task % blocks * QUERIES, scratch[share], out, logsum,
            )  # fmt: skip
