"""The hash of a cell: of what it says, not of how a file format spells it.

`docs/datasets.md` has the canonical encoding. In short, a cell is nothing, an integer, another number, a truth value,
an instant or a text; text that spells one of the others is that other, since CSV has nothing but text. A hash is

    h(tag, w1 ... wm) = m(... m(m(tag * G) ^ w1) + G ...),  m the finaliser of SplitMix64, G its golden constant

over 64-bit words. It tells different cells apart by accident, not against someone who forges collisions.

Numba takes half a second to import: import this module only where data is read.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, assignment"

from __future__ import annotations

import numpy as np

from ingest.fingerprint.compiling import GOLDEN, compiled, splitmix

NOTHING, INTEGER, NUMBER, TRUTH, INSTANT, TEXT, NESTED = range(7)
PENDING = 7
"""A number that the kernel did not convert: more digits or a larger exponent than are exact in a float64."""

KINDS = 8
_LONGEST = 64
_SECOND_SEED = np.uint64(0xA4093822299F31D0)
_POWERS = 10.0 ** np.arange(23)
_EXACT = np.int64(1 << 53)
_MOST = np.int64((1 << 63) - 1)
_DIGITS_MOST = np.int64(922337203685477580)


@compiled
def absorb(state, word):
    """One more word into a hash."""
    return splitmix((state ^ word) + GOLDEN)


@compiled
def begin(tag):
    """The hash of a tag alone."""
    return splitmix(np.uint64(tag) * GOLDEN)


@compiled
def hash_integer(value):
    """An integer of 64 bits."""
    return absorb(begin(INTEGER), np.uint64(value))


@compiled
def hash_bytes(tag, data, start, end):
    """Bytes: their number, then eight at a time, the first of them lowest, the last word filled with zeros."""
    state = absorb(begin(tag), np.uint64(end - start))
    position = start
    while position + 8 <= end:
        word = np.uint64(0)
        for i in range(8):
            word |= np.uint64(data[position + i]) << np.uint64(8 * i)
        state = absorb(state, word)
        position += 8
    if position < end:
        word = np.uint64(0)
        for i in range(end - position):
            word |= np.uint64(data[position + i]) << np.uint64(8 * i)
        state = absorb(state, word)
    return state


@compiled
def hash_instant(seconds, nanoseconds):
    """Seconds since 1970 in UTC, a zone that is not stated taken for it, and nanoseconds."""
    return absorb(absorb(begin(INSTANT), np.uint64(seconds)), np.uint64(nanoseconds))


@compiled
def hash_floats(values, bits, hashes, kinds):
    """Hash floats; an integral one is the integer, NaN is nothing, an infinite one its name as text."""
    infinite = np.array([105, 110, 102], np.uint8)
    minus_infinite = np.array([45, 105, 110, 102], np.uint8)
    for i in range(values.size):
        value = values[i]
        if value != value:
            hashes[i] = 0
            kinds[i] = NOTHING
        elif value == np.inf:
            hashes[i] = hash_bytes(TEXT, infinite, 0, 3)
            kinds[i] = NUMBER
        elif value == -np.inf:
            hashes[i] = hash_bytes(TEXT, minus_infinite, 0, 4)
            kinds[i] = NUMBER
        elif -9223372036854775808.0 <= value < 9223372036854775808.0 and value == np.floor(value):
            hashes[i] = hash_integer(np.int64(value))
            kinds[i] = NUMBER
        else:
            hashes[i] = absorb(begin(NUMBER), bits[i])
            kinds[i] = NUMBER


@compiled
def hash_integers(values, hashes):
    """Hash int64 values."""
    for i in range(values.size):
        hashes[i] = hash_integer(values[i])


@compiled
def hash_truths(values, hashes):
    """Hash truth values."""
    for i in range(values.size):
        hashes[i] = absorb(begin(TRUTH), np.uint64(values[i]))


@compiled
def hash_instants(seconds, nanoseconds, hashes):
    """Hash instants."""
    for i in range(seconds.size):
        hashes[i] = hash_instant(seconds[i], nanoseconds[i])


@compiled
def hash_tagged(tag, data, offsets, hashes):
    """Hash the cells of a column of bytes as they are, under one tag."""
    for i in range(offsets.size - 1):
        hashes[i] = hash_bytes(tag, data, offsets[i], offsets[i + 1])


@compiled
def hash_texts(data, offsets, hashes, kinds, numbers):
    """Hash the cells of a column of text: each by what it spells.

    Parameters
    ----------
    data : (n,) uint8 array
    offsets : (m + 1,) int64 array
        Where the cells begin and end.
    hashes, kinds, numbers : (m,) uint64, uint8 and float64 arrays
        Filled. Cells of kind `NUMBER` are left for `hash_floats`, and get their value in `numbers`; those of kind
        `PENDING` are still to be converted.
    """
    for i in range(offsets.size - 1):
        start, end = offsets[i], offsets[i + 1]
        length = end - start
        if length == 0:
            hashes[i] = 0
            kinds[i] = NOTHING
            continue
        first = data[start]
        if length <= _LONGEST:
            if first == 45 or 48 <= first <= 57:
                kind, value, exponent = _number(data, start, end)
                if kind == INTEGER:
                    hashes[i] = hash_integer(value)
                    kinds[i] = INTEGER
                    continue
                if kind == NUMBER:
                    # Exact operands: one rounding, so that this is the nearest float64 (Clinger, PLDI 1990).
                    number = np.float64(value)
                    numbers[i] = number * _POWERS[exponent] if exponent >= 0 else number / _POWERS[-exponent]
                if kind in (NUMBER, PENDING):
                    kinds[i] = kind
                    continue
                if length >= 10 and data[start + 4] == 45:
                    good, seconds, nanoseconds = _instant(data, start, end)
                    if good:
                        hashes[i] = hash_instant(seconds, nanoseconds)
                        kinds[i] = INSTANT
                        continue
            elif length == 3 and (first | 32) == 110 and _is_nan(data, start):
                hashes[i] = 0
                kinds[i] = NOTHING
                continue
            elif length == 4 and (first | 32) == 116 and _spells(data, start, 114, 117, 101):
                hashes[i] = absorb(begin(TRUTH), np.uint64(1))
                kinds[i] = TRUTH
                continue
            elif (
                length == 5
                and (first | 32) == 102
                and (data[end - 1] | 32) == 101
                and _spells(data, start, 97, 108, 115)
            ):
                hashes[i] = absorb(begin(TRUTH), np.uint64(0))
                kinds[i] = TRUTH
                continue
        hashes[i] = hash_bytes(TEXT, data, start, end)
        kinds[i] = TEXT


@compiled
def _is_nan(data, start):
    a, b, c = data[start], data[start + 1], data[start + 2]
    return b == 97 and ((a == 110 and c == 110) or (a == 78 and c == 78))


@compiled
def _spells(data, start, second, third, fourth):
    return (data[start + 1] | 32) == second and (data[start + 2] | 32) == third and (data[start + 3] | 32) == fourth


@compiled
def _number(data, start, end):
    """What a cell is as a number: its kind, its digits as an integer and its decimal exponent.

    Integers have no leading zeros and fit into 64 bits. Other numbers have a point or an exponent, and digits before.
    """
    position = start
    negative = data[position] == 45
    if negative:
        position += 1
    begins = position
    mantissa = np.int64(0)
    digits = 0
    overflow = False
    while position < end and 48 <= data[position] <= 57:
        digit = np.int64(data[position] - 48)
        if mantissa > _DIGITS_MOST or (mantissa == _DIGITS_MOST and digit > 7):
            overflow = True
        else:
            mantissa = mantissa * 10 + digit
        digits += 1
        position += 1
    if digits == 0 or (digits > 1 and data[begins] == 48):
        return TEXT, np.int64(0), 0
    if position == end:
        if overflow:
            return TEXT, np.int64(0), 0
        return INTEGER, -mantissa if negative else mantissa, 0
    exponent = 0
    if data[position] == 46:
        position += 1
        while position < end and 48 <= data[position] <= 57:
            digit = np.int64(data[position] - 48)
            if mantissa > _DIGITS_MOST or (mantissa == _DIGITS_MOST and digit > 7):
                overflow = True
            else:
                mantissa = mantissa * 10 + digit
                exponent -= 1
            position += 1
    if position < end and (data[position] | 32) == 101:
        position += 1
        sign = 1
        if position < end and (data[position] == 43 or data[position] == 45):
            sign = -1 if data[position] == 45 else 1
            position += 1
        stated = 0
        count = 0
        while position < end and 48 <= data[position] <= 57:
            stated = min(stated * 10 + np.int64(data[position] - 48), 100000)
            count += 1
            position += 1
        if count == 0:
            return TEXT, np.int64(0), 0
        exponent += sign * stated
    if position != end:
        return TEXT, np.int64(0), 0
    if overflow or mantissa > _EXACT or exponent > 22 or exponent < -22:
        return PENDING, np.int64(0), 0
    return NUMBER, -mantissa if negative else mantissa, exponent


@compiled
def _digits(data, start, count):
    value = np.int64(0)
    for i in range(start, start + count):
        if not 48 <= data[i] <= 57:
            return -1
        value = value * 10 + (data[i] - 48)
    return value


@compiled
def _instant(data, start, end):
    """An ISO 8601 date, or date and time with a blank or T between, a zone or none; whether it is one, and when."""
    no = (False, np.int64(0), np.int64(0))
    year, month, day = _digits(data, start, 4), _digits(data, start + 5, 2), _digits(data, start + 8, 2)
    if year < 1 or not 1 <= month <= 12 or not 1 <= day <= 31 or data[start + 7] != 45:
        return no
    # Days of the civil calendar, counted from March (Howard Hinnant, "chrono-compatible low-level date algorithms").
    shifted = year - (1 if month <= 2 else 0)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
    seconds = np.int64(days) * 86400
    position = start + 10
    if position == end:
        return True, seconds, np.int64(0)
    if (data[position] != 32 and data[position] != 84) or end - position < 6 or data[position + 3] != 58:
        return no
    hour, minute = _digits(data, position + 1, 2), _digits(data, position + 4, 2)
    if not 0 <= hour <= 23 or not 0 <= minute <= 59:
        return no
    seconds += hour * 3600 + minute * 60
    position += 6
    nanoseconds = np.int64(0)
    if position < end and data[position] == 58:
        if end - position < 3:
            return no
        second = _digits(data, position + 1, 2)
        if not 0 <= second <= 59:
            return no
        seconds += second
        position += 3
        if position < end and data[position] == 46:
            position += 1
            scale = np.int64(100_000_000)
            count = 0
            while position < end and 48 <= data[position] <= 57:
                nanoseconds += np.int64(data[position] - 48) * scale
                scale //= 10
                count += 1
                position += 1
            if count == 0 or count > 9:
                return no
    if position == end:
        return True, seconds, nanoseconds
    if data[position] == 90 and position + 1 == end:
        return True, seconds, nanoseconds
    if data[position] == 43 or data[position] == 45:
        sign = 1 if data[position] == 43 else -1
        colon = 1 if end - position == 6 and data[position + 3] == 58 else 0
        if end - position != 5 + colon:
            return no
        hour, minute = _digits(data, position + 1, 2), _digits(data, position + 3 + colon, 2)
        if not 0 <= hour <= 23 or not 0 <= minute <= 59:
            return no
        return True, seconds - sign * (hour * 3600 + minute * 60), nanoseconds
    return no


@compiled
def add_column(name, hashes, kinds, sums, counts):
    """Add a column's cells to the sums of their rows; cells of nothing add nothing.

    Parameters
    ----------
    name : uint64
        Hash of the column's name.
    hashes, kinds : (n,) arrays
    sums : (n,) uint64 array
        Grows, modulo 2**64.
    counts : (KINDS,) int64 array
        Grows by how many cells are of each kind.

    Returns
    -------
    first, second : uint64
        Sums modulo 2**64 of two mixes of the cells' hashes.
    """
    first, second = np.uint64(0), np.uint64(0)
    for i in range(hashes.size):
        counts[kinds[i]] += 1
        if kinds[i] != NOTHING:
            sums[i] += splitmix(hashes[i] ^ name)
            first += splitmix(hashes[i] + GOLDEN)
            second += splitmix(hashes[i] ^ _SECOND_SEED)
    return first, second


@compiled
def finish_rows(sums):
    """Hashes of rows, from the sums over their cells, in place; and the two sums of `add_column` over the rows."""
    first, second = np.uint64(0), np.uint64(0)
    for i in range(sums.size):
        row = splitmix(sums[i] + GOLDEN)
        sums[i] = row
        first += splitmix(row + GOLDEN)
        second += splitmix(row ^ _SECOND_SEED)
    return first, second
