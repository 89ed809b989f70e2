"""The only door to a database: store, schema, migrations, query library, servers.

Importing the package loads no driver: `cypher.store.Store` does so when it is opened.
"""
