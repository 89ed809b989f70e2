"""Laundered copies: the same function in other weights, found and mapped back into the frame of their family."""
