"""The vocabulary of the project: labels, relationships, records, evidence, identity, errors. Floor 0."""
