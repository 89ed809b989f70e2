"""Data sets: found in a lake, read in a stream, and turned into a content id, a schema and a sketch of their rows."""
