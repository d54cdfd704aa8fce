"""The backward pass of attention: blocks of weights made again, and the gradients that come from them.

Laid out as in the forward pass, keys down and queries across, all five products read their operands where they lie.
"""

from plugrad.kernel import kernel, prange
from plugrad.kernels.attention import (
    CAUSAL,
    DROPPED,
    K_PLACE,
    K_STEP,
    KEYS,
    LENGTH,
    OUT_PLACE,
    OUT_STEP,
    Q_PLACE,
    Q_STEP,
    QUERIES,
    SHARES,
    SOURCE,
    THRESHOLD,
    V_PLACE,
    V_STEP,
    VALUE_WIDTH,
    WIDTH,
    keep_rows,
    mask_step,
    scores_of_block,
    turn_block,
)
from plugrad.kernels.exponential import exp
from plugrad.kernels.product import multiply_block


@kernel
def weights_of_block(form, random, keep, unit, first_query, first_key, sums, delta, weights, slopes, mask):
    """From scores and v · g: the weights after dropout in `weights`, the gradients of the scores in `slopes`."""
    step = mask_step(form, first_query)
    for j in range(weights.shape[0]):
        weight, slope = weights[j, : sums.size], slopes[j, : sums.size]
        if random[THRESHOLD]:
            if j % DROPPED == 0:
                keys = min(DROPPED, weights.shape[0] - j)
                keep_rows(random, keep, form, unit, first_query, first_key + j, keys, mask)
            factor = mask[j % DROPPED * step : j % DROPPED * step + sums.size]
            for i in range(sums.size):
                p = exp(weight[i] - sums[i])
                weight[i] = p * factor[i]
                slope[i] = p * (slope[i] * factor[i] - delta[i])
        else:
            for i in range(sums.size):
                p = exp(weight[i] - sums[i])
                weight[i] = p
                slope[i] = p * (slope[i] - delta[i])


@kernel
def prepare_queries(q, g, out, places, form, scale, unit, first_query, turned, turned_g, delta):
    """Turn a block of queries and of output gradients; delta[i] = out · g, the mean of the weights' gradients."""
    value_width, step = form[VALUE_WIDTH], form[OUT_STEP]
    place_q = places[unit, Q_PLACE] + first_query * form[Q_STEP]
    place_g = places[unit, OUT_PLACE] + first_query * step
    turn_block(q, place_q, form[Q_STEP], delta.size, form[WIDTH], scale, turned)
    turn_block(g, place_g, step, delta.size, value_width, q.dtype.type(1), turned_g)
    for i in range(delta.size):
        start = place_g + i * step
        result, gradient = out[start : start + value_width], g[start : start + value_width]
        product = q.dtype.type(0)
        for d in range(value_width):
            product += result[d] * gradient[d]
        delta[i] = product


@kernel
def keep_slopes(slopes, scale, first_query, queries, first_key, unit, to_bias):
    """Copy a block's slopes into to_bias, if that is asked for, and multiply them by the scale of the scores."""
    for j in range(slopes.shape[0]):
        row = slopes[j, :queries]
        if to_bias.size:
            kept = to_bias[unit, first_key + j, first_query : first_query + queries]
            for i in range(queries):
                kept[i] = row[i]
        for i in range(queries):
            row[i] *= scale


@kernel
def add_products(
    q, k, g, places, form, unit, first_query, queries, first_key, keys, weights, slopes,
    to_places, to_form, to_q, to_k, to_v,
):  # fmt: skip
    """Add a block's part to the gradients: weights · g to the values', slopes · q to the keys', slopesᵀ · k to q's."""
    size, width = q.itemsize, form[WIDTH]
    q_step, k_step, v_step = to_form[Q_STEP], to_form[K_STEP], to_form[V_STEP]
    at_q = q.ctypes.data + (places[unit, Q_PLACE] + first_query * form[Q_STEP]) * size
    at_k = k.ctypes.data + (places[unit, K_PLACE] + first_key * form[K_STEP]) * size
    at_g = g.ctypes.data + (places[unit, OUT_PLACE] + first_query * form[OUT_STEP]) * size
    at_to_q = to_q.ctypes.data + (to_places[unit, Q_PLACE] + first_query * q_step) * size
    at_to_k = to_k.ctypes.data + (to_places[unit, K_PLACE] + first_key * k_step) * size
    at_to_v = to_v.ctypes.data + (to_places[unit, V_PLACE] + first_key * v_step) * size
    multiply_block(
        q, weights.ctypes.data, QUERIES, 1, at_g, form[OUT_STEP], at_to_v, v_step, at_to_v, v_step,
        keys, form[VALUE_WIDTH], queries, 0,
    )  # fmt: skip
    multiply_block(
        q, slopes.ctypes.data, QUERIES, 1, at_q, form[Q_STEP], at_to_k, k_step, at_to_k, k_step,
        keys, width, queries, 0,
    )  # fmt: skip
    multiply_block(
        q, slopes.ctypes.data, 1, QUERIES, at_k, form[K_STEP], at_to_q, q_step, at_to_q, q_step,
        queries, width, keys, 0,
    )  # fmt: skip


@kernel
def clear_rows(x, place, step, rows, columns):
    """0 into a unit's matrix."""
    for i in range(rows):
        x[place + i * step : place + i * step + columns] = 0


@kernel(inline=False)
def attend_back(
    q, k, v, bias, key_mask, places, form, scale, random, keep, unit, scratch, out, logsum, g,
    to_places, to_form, to_q, to_k, to_v, to_bias,
):  # fmt: skip
    """All gradients of one unit."""
    length, source, width, value_width = form[LENGTH], form[SOURCE], form[WIDTH], form[VALUE_WIDTH]
    turned = scratch[: width * QUERIES].reshape(width, QUERIES)
    start = width * QUERIES
    turned_g = scratch[start : start + value_width * QUERIES].reshape(value_width, QUERIES)
    start += value_width * QUERIES
    weights = scratch[start : start + KEYS * QUERIES].reshape(KEYS, QUERIES)
    start += KEYS * QUERIES
    slopes = scratch[start : start + KEYS * QUERIES].reshape(KEYS, QUERIES)
    start += KEYS * QUERIES
    delta, mask = scratch[start : start + QUERIES], scratch[start + QUERIES : start + (1 + DROPPED) * QUERIES]
    # All three gradients are sums over blocks, whose first block depends on the mask: they begin with 0.
    clear_rows(to_q, to_places[unit, Q_PLACE], to_form[Q_STEP], length, width)
    clear_rows(to_k, to_places[unit, K_PLACE], to_form[K_STEP], source, width)
    clear_rows(to_v, to_places[unit, V_PLACE], to_form[V_STEP], source, value_width)
    for first_query in range(0, length, QUERIES):
        queries = min(QUERIES, length - first_query)
        delta = delta[:queries]
        prepare_queries(q, g, out, places, form, scale, unit, first_query, turned, turned_g, delta)
        sums = logsum[unit, first_query : first_query + queries]
        last_key = min(source, first_query + queries) if form[CAUSAL] else source
        for first_key in range(0, last_key, KEYS):
            keys = min(KEYS, last_key - first_key)
            scores_of_block(
                q, k, bias, key_mask, places, form, unit, first_query, queries, first_key, keys, turned, weights
            )  # fmt: skip
            at_values = v.ctypes.data + (places[unit, V_PLACE] + first_key * form[V_STEP]) * v.itemsize
            multiply_block(
                v, at_values, form[V_STEP], 1, turned_g.ctypes.data, QUERIES, 0, 0, slopes.ctypes.data, QUERIES,
                keys, queries, value_width, 0,
            )  # fmt: skip
            weights_of_block(
                form, random, keep, unit, first_query, first_key, sums, delta, weights[:keys], slopes[:keys], mask
            )  # fmt: skip
            keep_slopes(slopes[:keys], scale, first_query, queries, first_key, unit, to_bias)
            add_products(
                q, k, g, places, form, unit, first_query, queries, first_key, keys, weights, slopes,
                to_places, to_form, to_q, to_k, to_v,
            )  # fmt: skip


@kernel
def attention_backward(
    q, k, v, bias, key_mask, places, form, scale, random, keep, scratch, out, logsum, g,
    to_places, to_form, to_q, to_k, to_v, to_bias,
):  # fmt: skip
    """The gradients of `attention_forward`'s arguments from g, laid out as out; out and logsum are what it gave.

    to_q, to_k, to_v: flat, laid out by to_places and to_form. to_bias (units, source, length), or of size 0.
    """
    units = places.shape[0]
    for share in prange(SHARES):
        for unit in range(share * units // SHARES, (share + 1) * units // SHARES):
            attend_back(
                q, k, v, bias, key_mask, places, form, scale, random, keep, unit, scratch[share], out, logsum, g,
                to_places, to_form, to_q, to_k, to_v, to_bias,
            )  # fmt: skip
