"""Scores → one self-contained page: read_scores (scores.py), raw_lines (lines.py), render (render.py)."""
