"""Numba loops, one file per family. What is here is compiled when it is first called, and kept on disk."""
