"""What the pages are made of: the drawing, panels of text, and the styles of both.

The drawing is a component of our own, of plain SVG in one file of JavaScript: what it gets is data, what it makes are
elements whose text is set, never parsed. Nothing is fetched from anywhere.
"""
