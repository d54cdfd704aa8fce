"""Copies of boxes of elements and their transposes, element by element."""

import numpy as np


def pairs(boxes):
    """(place in the target, place in the source) for each element of each box."""
    rank = (boxes.shape[1] - 2) // 3
    for to, frm, *sides in boxes.tolist():
        lengths, to_steps, from_steps = sides[:rank], sides[rank : 2 * rank], sides[2 * rank :]
        for place in np.ndindex(*lengths):
            yield to + np.dot(place, to_steps), frm + np.dot(place, from_steps)
