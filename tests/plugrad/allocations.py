"""Counts the memory that NumPy asks for: every array, also one that lives for a moment only.

NumPy lets a program put its own functions in the place of malloc (NEP 49), through its C interface; ctypes reaches it.
"""

import contextlib
import ctypes

SET_HANDLER, GET_HANDLER = 304, 305  # places in NumPy's table of C functions

_MALLOC = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_CALLOC = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)
_REALLOC = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_FREE = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class _Allocator(ctypes.Structure):
    _fields_ = (
        ("ctx", ctypes.c_void_p), ("malloc", _MALLOC), ("calloc", _CALLOC), ("realloc", _REALLOC), ("free", _FREE),
    )  # fmt: skip


class _Handler(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("allocator", _Allocator))


def _pointer(capsule, name):
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    return get(capsule, name)


def _functions():
    """PyDataMem_SetHandler and PyDataMem_GetHandler."""
    from numpy._core import _multiarray_umath

    table = ctypes.cast(_pointer(_multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[SET_HANDLER])
    return set_handler, ctypes.PYFUNCTYPE(ctypes.py_object)(table[GET_HANDLER])


_sizes = []
_kept = []  # arrays made while counting refer to their handler as long as they live


def _counting(original):
    """A handler that notes every size and leaves the work to `original`'s functions."""
    inner = original.allocator

    def malloc(ctx, size):
        _sizes.append(size)
        return inner.malloc(inner.ctx, size)

    def calloc(ctx, count, size):
        _sizes.append(count * size)
        return inner.calloc(inner.ctx, count, size)

    def realloc(ctx, pointer, size):
        _sizes.append(size)
        return inner.realloc(inner.ctx, pointer, size)

    functions = _Allocator(
        None, _MALLOC(malloc), _CALLOC(calloc), _REALLOC(realloc), _FREE(lambda c, p, n: inner.free(inner.ctx, p, n))
    )
    handler = _Handler(b"counting", 1, functions)
    _kept.append((handler, functions, original))
    return handler


@contextlib.contextmanager
def counted():
    """A context that gives a list of the sizes in bytes of all arrays made within it, in order."""
    set_handler, get_handler = _functions()
    before = get_handler()
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    original = _Handler.from_address(_pointer(before, b"mem_handler"))
    handler = _counting(original)
    capsule = new(ctypes.addressof(handler), b"mem_handler", None)
    _kept.append(capsule)
    _sizes.clear()
    set_handler(capsule)
    found = []
    try:
        yield found
    finally:
        set_handler(before)
        found += _sizes
