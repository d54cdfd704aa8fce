"""The register tile: the one piece of vector code that every matrix product of plugrad is made of.

A tile computes a small block of C = init + A·B while all of it stays in vector registers:

    for r in range(rows):
        for c in range(columns):              # NV whole vectors, or one vector of which `tail` lanes are used
            C[r, c] = init[r, c] + sum(A[r, k] * B[k, c] for k in range(depth))

A's element (r, k) lies at a + r*row_step + k*depth_step, so a transposed A costs nothing. B's rows are contiguous
and ldb apart. `init` is read with its own row step: 0 repeats one row (a bias), ldc with init = c accumulates, and
the address 0 stands for zeros. A lane outside the block is neither read nor written.

Numba cannot be made to keep such a block in registers from a plain loop: it spills the accumulators, which costs
a factor of about five. So the loop is written in LLVM's own terms here, and nowhere else.
"""

from typing import NamedTuple

from plugrad.kernel import CompileTime

# Registers decide the shape: ROWS*VECTORS sums, VECTORS vectors of B and one of A must fit in them. There are 32 with
# AVX-512 and on ARM, 16 with AVX2 and older. The shape does not depend on the type of the elements.


class Shape(NamedTuple):
    """The largest tile of this CPU."""

    rows: int
    vectors: int
    vector_bytes: int


def host_shape():
    """The tile shape for the CPU that this process runs on."""
    features = _host_features()
    if features.get("avx512f"):
        return Shape(8, 2, 64)
    if features.get("avx2"):
        return Shape(6, 2, 32)
    if features.get("neon") or features.get("fp-armv8"):
        return Shape(8, 2, 16)
    return Shape(4, 2, 16)


def _host_features():
    import llvmlite.binding

    return llvmlite.binding.get_host_cpu_features()


def _make_tile():
    """The intrinsic that all matrix products are made of.

    tile(kind, height, width, a, row_step, depth_step, b, ldb, init, init_step, c, ldc, depth, relu): `kind` is any
    number of the element type; a, b, init and c are addresses; steps count elements; relu is 0 or 1. The block is
    `height` (one of ROWS, 2 and 1) by `width` (all vectors' lanes, or at most one vector's).
    """
    import numba
    from llvmlite import ir
    from numba.extending import intrinsic

    shape = host_shape()

    @intrinsic
    def tile(typingctx, kind, height, width, a, row_step, depth_step, b, ldb, init, init_step, c, ldc, depth, relu):
        itemsize = kind.bitwidth // 8
        whole_width = shape.vectors * shape.vector_bytes // itemsize

        def codegen(context, builder, signature, arguments):
            _, height, width, *rest = arguments
            whole = builder.icmp_signed("==", width, width.type(whole_width))
            for rows in (shape.rows, 2, 1):
                fits = builder.icmp_signed("==", height, height.type(rows))
                with builder.if_then(fits), builder.if_else(whole) as (all_lanes, some_lanes):
                    with all_lanes:
                        _emit(ir, builder, rest, rows, shape.vectors, itemsize, tail=None)
                    with some_lanes:
                        _emit(ir, builder, rest, rows, 1, itemsize, tail=width)
            return context.get_dummy_value()

        return numba.void(kind, *(numba.intp,) * 13), codegen

    return tile


ROWS = CompileTime(lambda: host_shape().rows)
VECTORS = CompileTime(lambda: host_shape().vectors)
VECTOR_BYTES = CompileTime(lambda: host_shape().vector_bytes)
tile = CompileTime(_make_tile)


def _emit(ir, builder, arguments, rows, vectors, itemsize, tail):
    """Write the tile at the builder's place: load the block, walk the depth, store the block."""
    a, row_step, depth_step, b, ldb, init, init_step, c, ldc, depth, relu = arguments
    lanes = _Lanes(ir, builder, host_shape().vector_bytes // itemsize, itemsize, tail)
    block = [(r, v) for r in range(rows) for v in range(vectors)]

    with builder.if_else(builder.icmp_signed("==", init, init.type(0))) as (from_zero, from_memory):
        with from_zero:
            zero_block, zeros = builder.block, [lanes.zero] * len(block)
        with from_memory:
            loaded = [lanes.load(lanes.at(init, r, init_step, v)) for r, v in block]
            memory_block = builder.block
    start = []
    for zero, value in zip(zeros, loaded, strict=True):
        phi = builder.phi(lanes.type)
        phi.add_incoming(zero, zero_block)
        phi.add_incoming(value, memory_block)
        start.append(phi)

    sums = _walk_depth(ir, builder, lanes, start, (a, row_step, depth_step, b, ldb, depth), rows, vectors)

    with builder.if_else(builder.icmp_signed("!=", relu, relu.type(0))) as (clamped, plain):
        with clamped:  # x > 0 ? x : 0 would turn NaN into 0: keep it by asking for x <= 0
            for (r, v), value in zip(block, sums, strict=True):
                negative = builder.fcmp_ordered("<=", value, lanes.zero)
                lanes.store(builder.select(negative, lanes.zero, value), lanes.at(c, r, ldc, v))
        with plain:
            for (r, v), value in zip(block, sums, strict=True):
                lanes.store(value, lanes.at(c, r, ldc, v))


def _walk_depth(ir, builder, lanes, start, operands, rows, vectors):
    """sums[r, v] = start[r, v] + sum over k of A[r, k] * B[k, v], one fused multiply-add a step."""
    a, row_step, depth_step, b, ldb, depth = operands
    before = builder.block
    head = builder.append_basic_block("tile.depth")
    body = builder.append_basic_block("tile.step")
    done = builder.append_basic_block("tile.done")
    builder.branch(head)

    builder.position_at_end(head)
    step, a_now, b_now = (builder.phi(depth.type) for _ in range(3))
    sums = [builder.phi(lanes.type) for _ in start]
    for phi, value in zip([step, a_now, b_now, *sums], [depth.type(0), a, b, *start], strict=True):
        phi.add_incoming(value, before)
    builder.cbranch(builder.icmp_signed("<", step, depth), body, done)

    builder.position_at_end(body)
    row_of_b = [lanes.load(lanes.at(b_now, 0, ldb, v)) for v in range(vectors)]
    after = []
    for r in range(rows):
        spread = lanes.spread(lanes.at(a_now, r, row_step, 0))
        after += [lanes.multiply_add(spread, row_of_b[v], sums[r * vectors + v]) for v in range(vectors)]
    size = depth.type(lanes.itemsize)
    moved = [
        builder.add(step, depth.type(1)),
        builder.add(a_now, builder.mul(depth_step, size)),
        builder.add(b_now, builder.mul(ldb, size)),
        *after,
    ]
    for phi, value in zip([step, a_now, b_now, *sums], moved, strict=True):
        phi.add_incoming(value, builder.block)
    builder.branch(head)

    builder.position_at_end(done)
    return sums


class _Lanes:
    """Loads, stores and arithmetic on one vector; with `tail`, on its first `tail` lanes alone."""

    def __init__(self, ir, builder, lanes, itemsize, tail):
        self.ir, self.builder, self.lanes, self.itemsize = ir, builder, lanes, itemsize
        self.scalar = ir.FloatType() if itemsize == 4 else ir.DoubleType()
        self.type = ir.VectorType(self.scalar, lanes)
        self.zero = ir.Constant(self.type, [0.0] * lanes)
        self.suffix = f"v{lanes}f{8 * itemsize}"
        features = _host_features()
        self.fused = any(features.get(name) for name in ("fma", "neon", "fp-armv8"))
        self.mask = None
        if tail is not None:
            counts = ir.VectorType(ir.IntType(64), lanes)
            limit = self._splat(builder.insert_element(ir.Constant(counts, ir.Undefined), tail, ir.IntType(32)(0)))
            self.mask = builder.icmp_signed("<", ir.Constant(counts, list(range(lanes))), limit)

    def at(self, base, row, step, vector):
        """The address of element (row, vector*lanes) when rows are `step` elements apart."""
        builder, kind = self.builder, base.type
        where = base
        if row:
            where = builder.add(where, builder.mul(step, kind(row * self.itemsize)))
        if vector:
            where = builder.add(where, kind(vector * self.lanes * self.itemsize))
        return where

    def load(self, address):
        pointer = self.builder.inttoptr(address, self.type.as_pointer())
        if self.mask is None:
            return self.builder.load(pointer, align=self.itemsize)
        function = self._declare(
            "llvm.masked.load", self.type, [pointer.type, self.ir.IntType(32), self.mask.type, self.type]
        )
        return self.builder.call(function, [pointer, self.ir.IntType(32)(self.itemsize), self.mask, self.zero])

    def store(self, value, address):
        pointer = self.builder.inttoptr(address, self.type.as_pointer())
        if self.mask is None:
            self.builder.store(value, pointer, align=self.itemsize)
            return
        kinds = [self.type, pointer.type, self.ir.IntType(32), self.mask.type]
        function = self._declare("llvm.masked.store", self.ir.VoidType(), kinds)
        self.builder.call(function, [value, pointer, self.ir.IntType(32)(self.itemsize), self.mask])

    def spread(self, address):
        """One element of A in every lane."""
        element = self.builder.load(self.builder.inttoptr(address, self.scalar.as_pointer()), align=self.itemsize)
        first = self.builder.insert_element(
            self.ir.Constant(self.type, self.ir.Undefined), element, self.ir.IntType(32)(0)
        )
        return self._splat(first)

    def multiply_add(self, a, b, c):
        if not self.fused:  # without the instruction llvm.fma is a library call per lane
            return self.builder.fadd(c, self.builder.fmul(a, b))
        name = f"llvm.fma.{self.suffix}"
        function = self.builder.module.globals.get(name) or self.ir.Function(
            self.builder.module, self.ir.FunctionType(self.type, [self.type] * 3), name
        )
        return self.builder.call(function, [a, b, c])

    def _splat(self, vector):
        places = self.ir.Constant(self.ir.VectorType(self.ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(vector, vector, places)

    def _declare(self, name, result, kinds):
        name = f"{name}.{self.suffix}.p0"
        module = self.builder.module
        return module.globals.get(name) or self.ir.Function(module, self.ir.FunctionType(result, kinds), name)
