"""Code that only ever becomes a part of other code: no machine code is made of it alone.

Numba makes machine code of everything it compiles: of a function that is put into its callers too, and of the body of
a shared loop three times over. Only the last is ever run.
"""

import functools

# This overrides what Numba does not promise to keep, so it is done for the versions that it was tried with; with any
# other one compiling takes longer and gives the same code.
TRIED = {(0, 68)}


@functools.cache
def pipelines():
    """Numba's compiler for a function that is called, and for one that is only put into others."""
    from numba import version_info
    from numba.core.compiler import Compiler

    if version_info.short not in TRIED:
        return Compiler, Compiler
    generator = _generator()

    class Whole(Compiler):
        """A function with machine code of its own, all else that its compilation needs in pieces."""

        def __init__(self, typing, target, library, *rest):
            super().__init__(typing, target, library, *rest)
            target = self.state.targetctx
            if type(target._internal_codegen) is not generator:
                target._internal_codegen = _pieces(target._internal_codegen)

        def compile_extra(self, function):
            codegen = self.state.targetctx.codegen()
            self.state.library = codegen._codegen.create_library(function.__qualname__)
            self.state.library.enable_object_caching()
            return super().compile_extra(function)

    class Part(Whole):
        """A function that is put into its callers."""

        def compile_extra(self, function):
            self.state.library = self.state.targetctx.codegen().create_library(function.__qualname__)
            return Compiler.compile_extra(self, function)

    @functools.cache
    def _pieces(codegen):
        return generator(codegen)

    return Whole, Part


@functools.cache
def _generator():
    """The class of a code generator that wraps another one, and whose new libraries are all pieces."""
    from numba.core.codegen import JITCodeLibrary

    class Piece(JITCodeLibrary):
        """A library to be linked into another."""

        def _optimize_functions(self, module):
            module.data_layout = self._codegen._data_layout

        def _optimize_final_module(self):
            pass

        def _finalize_final_module(self):
            self._finalize_dynamic_globals()
            self._finalized = True

        def get_pointer_to_function(self, name):
            return 0

        @property
        def codegen(self):
            return _Inert

    class Pieces:
        """A code generator whose new libraries are all pieces."""

        def __init__(self, codegen):
            self._codegen = codegen

        def __getattr__(self, name):
            return getattr(self._codegen, name)

        def create_library(self, name, **options):
            return Piece(self._codegen, name, **options)

    return Pieces


class _Inert:
    """Takes the place of the code generator where Numba would reach into machine code that is not there."""

    @staticmethod
    def set_env(name, environment):
        """Nothing: only code that runs has an environment."""
