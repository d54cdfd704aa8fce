"""Calls from one kernel to another that stays where it is: compiled once, and called through a cell.

Numba compiles what a kernel calls into that kernel, each time anew: for a large function with many callers that takes
most of the time of a first run. A far call goes through a cell in memory that holds the function's address. The cell
has a name, which the code on disk refers to; it is told to LLVM in every process before any such code is loaded. Its
content comes at the first call, when the function is loaded too.
"""

import ctypes
import hashlib
import os
import pickle
import traceback

from plugrad.kernel_cache import folder_for

_cells = {}  # symbol -> ctypes cell
_targets = {}  # address of a cell -> (kernel, types of its arguments)


def far_call(kernel):
    """The Numba intrinsic that calls a kernel, which returns nothing, through its cell."""
    import numba
    from numba.extending import intrinsic

    for signature in _known_signatures(kernel):
        _cell(kernel, signature)

    @intrinsic
    def call(typingctx, *arguments):
        signature = tuple(_canonical(numba, a) for a in arguments)
        cell = _cell(kernel, signature)
        if not cell.value:
            _remember(kernel, signature)
            _fill(cell, kernel, signature)
        symbol = _symbol(kernel, signature)

        def codegen(context, builder, types, values):
            values = [
                context.cast(builder, builder.extract_value(values[0], i), given, wanted)
                for i, (given, wanted) in enumerate(zip(arguments, signature, strict=True))
            ]
            _emit(context, builder, symbol, signature, values)
            return context.get_dummy_value()

        return numba.void(numba.types.StarArgTuple(arguments)), codegen

    return call


def _canonical(numba, kind):
    """One type for all that are as good: otherwise a function would be compiled for every size of integer.

    Unsigned words of 64 bits stay what they are: their arithmetic is another.
    """
    kind = numba.types.unliteral(kind)
    return numba.intp if isinstance(kind, numba.types.Integer) and kind != numba.uint64 else kind


def _emit(context, builder, symbol, signature, values):
    """Load the address from the cell, let Python fill it if it is 0, and call."""
    import numba
    from llvmlite import ir
    from numba.core import cgutils

    word = ir.IntType(64)
    cell = builder.module.globals.get(symbol) or ir.GlobalVariable(builder.module, word, symbol)
    cell.linkage = "external"
    resolve = builder.module.globals.get(_RESOLVE) or ir.Function(
        builder.module, ir.FunctionType(ir.VoidType(), [word]), _RESOLVE
    )
    with builder.if_then(builder.icmp_unsigned("==", builder.load(cell), word(0)), likely=False):
        builder.call(resolve, [builder.ptrtoint(cell, word)])
    convention = context.call_conv
    function = convention.get_function_type(numba.void, signature)
    target = builder.inttoptr(builder.load(cell), function.as_pointer())
    status, _ = convention.call_function(builder, target, numba.void, signature, values)
    with cgutils.if_unlikely(builder, status.is_error):
        convention.return_status_propagate(builder, status)


def _symbol(kernel, signature):
    text = hashlib.sha256(repr(signature).encode()).hexdigest()[:16]
    return f"plugrad.{kernel.function.__module__}.{kernel.function.__qualname__}.{text}"


def _cell(kernel, signature):
    """The cell of a function for a signature, made and told to LLVM if it is new."""
    import llvmlite.binding

    symbol = _symbol(kernel, signature)
    if symbol not in _cells:
        if not _cells:
            llvmlite.binding.add_symbol(_RESOLVE, ctypes.cast(_resolve, ctypes.c_void_p).value)
        cell = ctypes.c_int64(0)
        _targets[ctypes.addressof(cell)] = kernel, signature
        llvmlite.binding.add_symbol(symbol, ctypes.addressof(cell))
        _cells[symbol] = cell
    return _cells[symbol]


def _fill(cell, kernel, signature):
    """Compile the function, or load it, and put its address into its cell."""
    compiled = kernel.serial
    compiled.compile(signature)
    result = compiled.overloads[signature]
    cell.value = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)


_RESOLVE = "plugrad.resolve"


@ctypes.CFUNCTYPE(None, ctypes.c_int64)
def _resolve(address):
    """What compiled code calls for a cell that is still empty."""
    try:
        _fill(ctypes.c_int64.from_address(address), *_targets[address])
    except BaseException:  # there is nothing to return to: the caller is about to jump to this address
        traceback.print_exc()
        os.abort()


# Which signatures there are on disk is kept in small files, since their cells must be there before code that uses them.


def _known_signatures(kernel):
    folder = folder_for(kernel.function.__module__)
    if folder is None or not folder.is_dir():
        return
    for path in sorted(folder.glob(f"{kernel.function.__qualname__}-*.signature")):
        try:
            yield pickle.loads(path.read_bytes())
        except (OSError, pickle.UnpicklingError, EOFError, AttributeError):
            continue


def _remember(kernel, signature):
    folder = folder_for(kernel.function.__module__)
    if folder is None:
        return
    name = f"{kernel.function.__qualname__}-{_symbol(kernel, signature).rsplit('.', 1)[1]}"
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}-{os.getpid()}"
    temporary.write_bytes(pickle.dumps(signature))
    temporary.replace(folder / f"{name}.signature")
