"""stub"""
import numpy as np
MOST_TOKENS = 64
def tokens(rows, templates, length): raise NotImplementedError
def token_surprises(model, toks): raise NotImplementedError
def tokens_length(rows): return 0
