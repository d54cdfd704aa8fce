"""What the convolutions do to channels beside the products."""

from plugrad.kernel import kernel, prange
from plugrad.kernels.conv_unit import SHARES
from plugrad.kernels.dense import differentiate, sum_rows


@kernel
def apply_slope(y, g, z, activation):
    """z = g times the slope of the activation whose results are y; matrices of one shape."""
    rows = y.shape[0]
    for share in prange(SHARES):
        differentiate(y, g, z, share * rows // SHARES, (share + 1) * rows // SHARES, activation)


@kernel
def sum_channels(z, parts, out):
    """out = the sums of the columns of z (pixels, channels); parts (SHARES, channels): scratch memory."""
    pixels = z.shape[0]
    for share in prange(SHARES):
        part = z[share * pixels // SHARES : (share + 1) * pixels // SHARES]
        sum_rows(part, parts[share], 0, out.size)
    out[:] = 0
    for share in range(SHARES):
        for j in range(out.size):
            out[j] += parts[share, j]


@kernel
def repeat_channels(x, out):
    """out (pixels, channels * n) = every channel of x (pixels, channels) n times."""
    times = out.shape[1] // x.shape[1]
    for share in prange(SHARES):
        for i in range(share * x.shape[0] // SHARES, (share + 1) * x.shape[0] // SHARES):
            for j in range(x.shape[1]):
                for k in range(times):
                    out[i, j * times + k] = x[i, j]


@kernel
def fold_channels(wide, out):
    """out (pixels, channels) = the sums of the n columns that repeat_channels makes of each channel."""
    times = wide.shape[1] // out.shape[1]
    for share in prange(SHARES):
        for i in range(share * out.shape[0] // SHARES, (share + 1) * out.shape[0] // SHARES):
            for j in range(out.shape[1]):
                total = wide[i, j * times]
                for k in range(1, times):
                    total += wide[i, j * times + k]
                out[i, j] = total
