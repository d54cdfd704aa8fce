"""Arrays at addresses: how a kernel reaches arrays whose number is not known when it is compiled."""

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
