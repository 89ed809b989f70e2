"""Hashes of the values as a multiset, compiled: two sums modulo 2**64 of mixed bits, so that the order is free."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, call-arg, untyped-decorator"
# Numba infers types from the arguments; annotations of scalars would claim what does not hold inside.

from __future__ import annotations

import numpy as np

from ingest.fingerprint.compiling import GOLDEN, compiled, splitmix

# Digits of pi's fraction, and those of the golden ratio.
_K1 = np.uint64(0x243F6A88)
_K2 = np.uint64(0x85A308D3)
_K3 = np.uint64(0x13198A2E)
_MULTIPLIER = np.uint64(0x9E3779B1)
_SECOND_SEED = np.uint64(0xA4093822299F31D0)
_LOW = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)


@compiled
def _fold(x):
    # A 32 by 32 bit product, and its two halves multiplied under two keys: two vector multiplications a value. The
    # second sum sees the halves the other way round and laid over the first product, so that carries run elsewhere.
    product = ((x ^ _K1) & _LOW) * _MULTIPLIER
    mixed = ((product & _LOW) ^ _K2) * ((product >> _S32) ^ _K3)
    return mixed, ((mixed << _S32) | (mixed >> _S32)) ^ product


@compiled
def multiset32(words, rest):
    """The two sums over 32-bit values: two of them in each of `words`, and what is `rest`."""
    # Taken in pairs because widening a vector of 32-bit values costs more than shifting one of 64-bit words.
    first = np.uint64(0)
    second = np.uint64(0)
    for i in range(words.size):
        word = words[i]
        low_first, low_second = _fold(word & _LOW)
        high_first, high_second = _fold(word >> _S32)
        first += low_first + high_first
        second += low_second + high_second
    for i in range(rest.size):
        one, two = _fold(np.uint64(rest[i]))
        first += one
        second += two
    return first, second


@compiled
def multiset64(bits):
    """The two sums over 64-bit values."""
    first = np.uint64(0)
    second = np.uint64(0)
    for i in range(bits.size):
        x = bits[i]
        first += splitmix(x + GOLDEN)
        second += splitmix(x ^ _SECOND_SEED)
    return first, second


@compiled
def multiset_of_counts(patterns, counts):
    """`multiset32` of values given by their bits and how often each occurs."""
    first = np.uint64(0)
    second = np.uint64(0)
    for i in range(patterns.size):
        one, two = _fold(np.uint64(patterns[i]))
        first += np.uint64(counts[i]) * one
        second += np.uint64(counts[i]) * two
    return first, second
