"""Arrays at addresses: how a kernel reaches arrays whose number is not known when it is compiled, and memory ahead."""

from plugrad.kernel import CompileTime


def _make_matrix_at():
    import numba
    from numba import types
    from numba.extending import intrinsic, register_jitable

    @intrinsic
    def pointer(typingctx, kind, address):
        def codegen(context, builder, signature, arguments):
            return builder.inttoptr(arguments[1], context.get_value_type(signature.return_type))

        return types.CPointer(kind.dtype)(kind, numba.intp), codegen

    @register_jitable
    def matrix_at(kind, address, rows, columns):
        return numba.carray(pointer(kind, address), (rows, columns))

    return matrix_at


matrix_at = CompileTime(_make_matrix_at)
"""matrix_at(kind, address, rows, columns): the C-contiguous array at an address, of the element type of the array
`kind`.

Nothing checks the address, and nothing keeps its memory: whoever calls the kernel does both.
"""


def _make_prefetch():
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    @intrinsic
    def prefetch(typingctx, array, offset):
        def codegen(context, builder, signature, arguments):
            kind = signature.args[0]
            data = context.make_array(kind)(context, builder, arguments[0]).data
            byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
            place = builder.gep(builder.bitcast(data, byte), [arguments[1]])
            shape = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
            function = builder.module.declare_intrinsic("llvm.prefetch", [byte], shape)
            builder.call(function, [place, number(0), number(3), number(1)])  # to read, into the first level, data
            return context.get_dummy_value()

        return types.void(array, types.intp), codegen

    return prefetch


prefetch = CompileTime(_make_prefetch)
"""prefetch(array, offset): ask for the memory so many bytes behind an array's beginning, and do not wait for it."""
