"""Distances and angles between rows, the parts of the losses on embeddings."""

from math import sqrt

from plugrad.kernel import kernel, prange


@kernel
def cosines(first, second, epsilon, cosine, inverse_first, inverse_second):
    """For each row the cosine, and 1 / the lengths, which the gradients need; lengths count as at least epsilon."""
    one = first.dtype.type(1)
    for row in prange(first.shape[0]):
        a, b = first[row], second[row]
        product = aa = bb = first.dtype.type(0)
        for j in range(a.size):
            product += a[j] * b[j]
            aa += a[j] * a[j]
            bb += b[j] * b[j]
        length_a, length_b = sqrt(aa), sqrt(bb)
        inverse_first[row] = one / (epsilon if length_a < epsilon else length_a)
        inverse_second[row] = one / (epsilon if length_b < epsilon else length_b)
        cosine[row] = product * inverse_first[row] * inverse_second[row]


@kernel
def cosine_gradient(x, y, cosine, inverse_x, inverse_y, epsilon, factor, out):
    """out = factor * d cosine / d x; where x's length counted as epsilon it is a constant."""
    for row in prange(x.shape[0]):
        a, b, o = x[row], y[row], out[row]
        to_b = factor[row] * inverse_x[row] * inverse_y[row]
        bounded = inverse_x[row] * epsilon >= x.dtype.type(1)
        to_a = x.dtype.type(0) if bounded else factor[row] * cosine[row] * inverse_x[row] * inverse_x[row]
        for j in range(a.size):
            o[j] = to_b * b[j] - to_a * a[j]


@kernel
def normalized(x, epsilon, value, inverse):
    """value = each row of x divided by its length, at least epsilon; inverse = what it was multiplied by."""
    for row in prange(x.shape[0]):
        a, v = x[row], value[row]
        square = x.dtype.type(0)
        for j in range(a.size):
            square += a[j] * a[j]
        length = sqrt(square)
        i = x.dtype.type(1) / (epsilon if length < epsilon else length)
        inverse[row] = i
        for j in range(a.size):
            v[j] = a[j] * i


@kernel
def normalized_gradient(value, inverse, epsilon, g, out):
    """out = the part of g across `value`, times inverse; all of g where the length counted as epsilon."""
    for row in prange(value.shape[0]):
        v, s, o, i = value[row], g[row], out[row], inverse[row]
        along = value.dtype.type(0)
        if i * epsilon < value.dtype.type(1):
            for j in range(v.size):
                along += v[j] * s[j]
        for j in range(v.size):
            o[j] = i * (s[j] - along * v[j])


@kernel
def distances(first, second, norm, epsilon, out):
    """out[row] = the p-norm (p = norm) of first - second + epsilon."""
    one, two = first.dtype.type(1), first.dtype.type(2)
    for row in prange(first.shape[0]):
        a, b = first[row], second[row]
        total = first.dtype.type(0)
        if norm == two:
            for j in range(a.size):
                d = a[j] - b[j] + epsilon
                total += d * d
            out[row] = sqrt(total)
        elif norm == one:
            for j in range(a.size):
                total += abs(a[j] - b[j] + epsilon)
            out[row] = total
        else:
            for j in range(a.size):
                total += abs(a[j] - b[j] + epsilon) ** norm
            out[row] = total ** (one / norm)


@kernel
def distance_gradient(first, second, distance, norm, epsilon, factor, out):
    """out += factor * d distance / d first, row by row; 0 where the distance is."""
    zero, one, two = first.dtype.type(0), first.dtype.type(1), first.dtype.type(2)
    for row in prange(first.shape[0]):
        a, b, o, length = first[row], second[row], out[row], distance[row]
        if factor[row] == zero or length == zero:
            continue
        if norm == two:
            f = factor[row] / length
            for j in range(a.size):
                o[j] += f * (a[j] - b[j] + epsilon)
        elif norm == one:
            f = factor[row]
            for j in range(a.size):
                d = a[j] - b[j] + epsilon
                o[j] += f if d > zero else (-f if d < zero else zero * d)
        else:
            f = factor[row] / length ** (norm - one)
            for j in range(a.size):
                d = a[j] - b[j] + epsilon
                part = f * abs(d) ** (norm - one)
                o[j] += part if d > zero else (-part if d < zero else zero * d)
