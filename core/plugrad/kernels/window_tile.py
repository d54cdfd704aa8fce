"""The register tile of convolutions: the tile of products, with a depth that goes over a list of places.

    for r in range(rows):
        for c in range(columns):
            C[r, c] = init[r, c] + sum(A[r, k, t] * B[t, k, c] for t in range(taps) for k in range(depth))

A's element (r, k, t) lies r*row_step + k*depth_step + offsets[t] elements after a, B's row (t, k) t*tap_step + k*ldb
after b. With a list of the rows of a kernel this is a convolution of an image as it lies in memory, without a copy of
its patches; with a list of the rows of an image it is the gradient of the weight. All sums stay in registers over the
whole list, so that short rows (a 3x3 kernel over one channel) cost no more than long ones.

`window_tile` spreads one element of A over the lanes. `channel_tile` reads a vector of A, lane by lane with that of B:
a depthwise convolution, where every channel has a sum of its own.
"""

import functools

from plugrad.kernel import CompileTime, kernel
from plugrad.kernels.tile import ROWS, VECTOR_BYTES, VECTORS, _Lanes, host_shape


def _make(lanewise):
    """The intrinsic; arguments as in `window_block`, for a tile of 1 to ROWS rows by whole vectors or part of one."""
    import numba
    from llvmlite import ir
    from numba.extending import intrinsic

    shape = host_shape()

    @intrinsic
    def window_tile(
        typingctx, kind, height, width, a, row_step, depth_step, offsets, taps, depth, b, ldb, tap_step,
        init, init_step, c, ldc, relu,
    ):  # fmt: skip
        itemsize = kind.bitwidth // 8
        whole_width = shape.vectors * shape.vector_bytes // itemsize

        def codegen(context, builder, signature, arguments):
            _, height, width, *rest = arguments
            whole = builder.icmp_signed("==", width, width.type(whole_width))
            done = builder.append_basic_block("window.end")
            choice = builder.switch(height, done)
            for rows in range(1, shape.rows + 1):
                here = builder.append_basic_block(f"window.{rows}")
                choice.add_case(height.type(rows), here)
                builder.position_at_end(here)
                if lanewise:  # a second vector would save nothing: no element of A is read for both
                    _emit(ir, builder, rest, rows, 1, itemsize, width, lanewise)
                    builder.branch(done)
                    continue
                with builder.if_else(whole) as (all_lanes, some_lanes):
                    with all_lanes:
                        _emit(ir, builder, rest, rows, shape.vectors, itemsize, None, lanewise)
                    with some_lanes:
                        _emit(ir, builder, rest, rows, 1, itemsize, width, lanewise)
                builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return numba.void(kind, *(numba.intp,) * 16), codegen

    return window_tile


window_tile = CompileTime(lambda: _make(lanewise=False))
channel_tile = CompileTime(lambda: _make(lanewise=True))


def _emit(ir, builder, arguments, rows, vectors, itemsize, tail, lanewise):
    """Write the tile at the builder's place: load the block, walk the list and the depth, store the block."""
    *operands, init, init_step, c, ldc, relu = arguments
    lanes = _Lanes(ir, builder, host_shape().vector_bytes // itemsize, itemsize, tail)
    block = [(r, v) for r in range(rows) for v in range(vectors)]

    with builder.if_else(builder.icmp_signed("==", init, init.type(0))) as (from_zero, from_memory):
        with from_zero:
            zero_block = builder.block
        with from_memory:
            loaded = [lanes.load(lanes.at(init, r, init_step, v)) for r, v in block]
            memory_block = builder.block
    start = []
    for value in loaded:
        phi = builder.phi(lanes.type)
        phi.add_incoming(lanes.zero, zero_block)
        phi.add_incoming(value, memory_block)
        start.append(phi)

    sums = _walk_list(ir, builder, lanes, start, operands, block, vectors, lanewise)

    with builder.if_else(builder.icmp_signed("!=", relu, relu.type(0))) as (clamped, plain):
        with clamped:  # x > 0 ? x : 0 would turn NaN into 0: keep it by asking for x <= 0
            for (r, v), value in zip(block, sums, strict=True):
                negative = builder.fcmp_ordered("<=", value, lanes.zero)
                lanes.store(builder.select(negative, lanes.zero, value), lanes.at(c, r, ldc, v))
        with plain:
            for (r, v), value in zip(block, sums, strict=True):
                lanes.store(value, lanes.at(c, r, ldc, v))


def _walk_list(ir, builder, lanes, start, operands, block, vectors, lanewise):
    a, row_step, depth_step, offsets, taps, depth, b, ldb, tap_step = operands
    index = depth.type

    def walk_depth(tap, sums):
        place = builder.load(
            builder.inttoptr(builder.add(offsets, builder.mul(tap, index(8))), index.as_pointer()), align=8
        )
        size = index(lanes.itemsize)
        at_a = builder.add(a, builder.mul(place, size))
        at_b = builder.add(b, builder.mul(builder.mul(tap, tap_step), size))

        def multiply(step, sums):
            a_now = builder.add(at_a, builder.mul(builder.mul(step, depth_step), size))
            b_now = builder.add(at_b, builder.mul(builder.mul(step, ldb), size))
            row_of_b = [lanes.load(lanes.at(b_now, 0, ldb, v)) for v in range(vectors)]
            spread = {} if lanewise else {r: lanes.spread(lanes.at(a_now, r, row_step, 0)) for r, v in block if v == 0}
            after = []
            for (r, v), total in zip(block, sums, strict=True):
                left = lanes.load(lanes.at(a_now, r, row_step, v)) if lanewise else spread[r]
                after.append(lanes.multiply_add(left, row_of_b[v], total))
            return after

        return _loop(builder, "window.depth", depth, sums, multiply)

    return _loop(builder, "window.list", taps, start, walk_depth)


def _loop(builder, name, count, start, body):
    """body(number, values) -> values for every number below `count`; all values stay in registers."""
    before = builder.block
    head, inside, done = (builder.append_basic_block(f"{name}.{part}") for part in ("head", "body", "done"))
    builder.branch(head)
    builder.position_at_end(head)
    number = builder.phi(count.type)
    values = [builder.phi(value.type) for value in start]
    for phi, value in zip([number, *values], [count.type(0), *start], strict=True):
        phi.add_incoming(value, before)
    builder.cbranch(builder.icmp_signed("<", number, count), inside, done)
    builder.position_at_end(inside)
    after = body(number, values)
    moved = builder.add(number, count.type(1))
    for phi, value in zip([number, *values], [moved, *after], strict=True):
        phi.add_incoming(value, builder.block)
    builder.branch(head)
    builder.position_at_end(done)
    return values


@kernel
def walk_window(
    kind, size, lanewise, a, a_line, row_step, depth_step, offsets, taps, depth, b, ldb, tap_step,
    init, init_line, init_step, c, c_line, ldc, lines, rows, columns, relu,
):  # fmt: skip
    """`lines` blocks of `rows` by `columns`, with one B, by addresses; the caller has checked every bound.

    kind: any number of the element type; size: its bytes. a, b, init, c: addresses of the first line's operands, init 0
    for nothing. offsets: address of the int64 list of places in A, `taps` long. All steps count elements. lanewise: 1
    for channel_tile. relu: 1 clamps at 0.
    """
    lanes = VECTOR_BYTES // size
    strip = VECTORS * lanes
    # Tiles of nearly equal height: 28 pixels are four tiles of 7, which run at the full rate where 4 and 2 rows do not.
    tiles = (rows + ROWS - 1) // ROWS
    column = 0
    while column < columns:  # outermost, so that a strip of B stays in the cache while the tiles walk over all of A
        left = columns - column
        width = strip if left >= strip and not lanewise else min(left, lanes)
        at_b = b + column * size
        for line in range(lines):
            row = 0
            for i in range(tiles):
                height = (rows - row) // (tiles - i)
                at_a = a + (line * a_line + row * row_step) * size
                at_c = c + (line * c_line + row * ldc + column) * size
                at_init = 0 if init == 0 else init + (line * init_line + row * init_step + column) * size
                if lanewise:
                    channel_tile(
                        kind, height, width, at_a + column * size, row_step, depth_step, offsets, taps, depth,
                        at_b, ldb, tap_step, at_init, init_step, at_c, ldc, relu,
                    )  # fmt: skip
                else:
                    window_tile(
                        kind, height, width, at_a, row_step, depth_step, offsets, taps, depth,
                        at_b, ldb, tap_step, at_init, init_step, at_c, ldc, relu,
                    )  # fmt: skip
                row += height
        column += width


# Compiled into every kernel that calls it, walk_window with its many tiles would take seconds in each of them. So it is
# compiled once for a type of elements, and the kernels call it by its address.


@functools.cache
def window_address(dtype):
    """The address of walk_window for elements of a NumPy dtype, which kernels hand to window_block."""
    import numba

    compiled = walk_window.serial
    arguments = _argument_types(numba, numba.from_dtype(dtype))
    compiled.compile(arguments)
    result = compiled.overloads[arguments]
    return result.library.get_pointer_to_function(result.fndesc.llvm_func_name)


def _argument_types(numba, number):
    return (number, *(numba.intp,) * (walk_window.function.__code__.co_argcount - 1))


def _make_call():
    """window_block(kind, address, lanewise, ...): walk_window at `address`; kind is any array of the element type."""
    import numba
    from llvmlite import ir
    from numba.extending import intrinsic

    @intrinsic
    def window_block(
        typingctx, kind, address, lanewise, a, a_line, row_step, depth_step, offsets, taps, depth, b, ldb, tap_step,
        init, init_line, init_step, c, c_line, ldc, lines, rows, columns, relu,
    ):  # fmt: skip
        arguments = _argument_types(numba, kind.dtype)

        def codegen(context, builder, signature, values):
            convention = context.call_conv
            function = convention.get_function_type(numba.void, arguments)
            number = context.get_constant(kind.dtype, 0.0)
            size = ir.IntType(64)(kind.dtype.bitwidth // 8)
            callee = builder.inttoptr(values[1], function.as_pointer())
            convention.call_function(builder, callee, numba.void, arguments, [number, size, *values[2:]])
            return context.get_dummy_value()

        return numba.void(kind, *(numba.intp,) * 22), codegen

    return window_block


window_block = CompileTime(_make_call)
