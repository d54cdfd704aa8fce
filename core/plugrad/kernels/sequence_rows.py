"""Moving rows of sequences to where a step of a recurrent network works on them, and back."""

from plugrad.kernel import kernel


@kernel
def shortest_and_longest(lengths):
    """The extremes of lengths, which is not empty."""
    shortest = longest = lengths[0]
    for r in range(lengths.size):
        shortest, longest = min(shortest, lengths[r]), max(longest, lengths[r])
    return shortest, longest


@kernel
def copy(source, start, target, place, size):
    """target[place : place + size] = source[start : start + size], both flat."""
    # Slices, since an index that might be negative would stop the vectoriser; made here, so that they are not counted
    # references, which cost more than a row's copying.
    a, b = source[start : start + size], target[place : place + size]
    for j in range(b.size):
        b[j] = a[j]


@kernel
def clear(target, place, size):
    """target[place : place + size] = 0, flat."""
    b = target[place : place + size]
    for j in range(b.size):
        b[j] = 0


@kernel
def add(source, start, target, place, size):
    """target[place : place + size] += source[start : start + size], both flat."""
    a, b = source[start : start + size], target[place : place + size]
    for j in range(b.size):
        b[j] += a[j]


@kernel
def gather_input(x, first, count, time, lengths, xs, place):
    """xs[place:] (flat) = the rows of a block at one time; zeros for those that have ended.

    In x the rows of one time lie a whole sequence apart, often a power of two of bytes, and would push each other out
    of the cache. What lies beyond a row's length may be anything, NaN too: it is not even multiplied with 0.
    """
    length, features = x.shape[1], x.shape[2]
    flat = x.reshape(-1)
    for r in range(count):
        if time < lengths[first + r]:
            copy(flat, ((first + r) * length + time) * features, xs, place + r * features, features)
        else:
            clear(xs, place + r * features, features)


@kernel
def scatter(source, start, first, count, time, lengths, target):
    """target (batch, length, width) at one time = a block's rows from source[start:]; zeros where a row has ended."""
    length, width = target.shape[1], target.shape[2]
    flat = target.reshape(-1)
    for r in range(count):
        place = ((first + r) * length + time) * width
        if time < lengths[first + r]:
            copy(source, start + r * width, flat, place, width)
        else:
            clear(flat, place, width)


@kernel
def clear_ends(target, first, count, longest):
    """Zeros in target (batch, length, width) at the times that no row of a block reaches."""
    length, width = target.shape[1], target.shape[2]
    flat = target.reshape(-1)
    for r in range(first, first + count):
        clear(flat, (r * length + longest) * width, (length - longest) * width)
