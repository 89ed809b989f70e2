"""The screens: landing page, lineage, data sets, findings, Cypher.

They are not called pages, since Streamlit would take a folder of that name for pages that it runs by itself.
"""
