"""The dashboard: a search box and one lineage graph, with the evidence behind every edge. Floor 3.

`launch` runs it as a program of its own; importing this package loads no Streamlit.
"""

from dashboard.launching import launch

__all__ = ["launch"]
