// Full-text indexes of a Neo4j server.
CREATE FULLTEXT INDEX model_text IF NOT EXISTS FOR (node:Model) ON EACH [node.id, node.name];
CREATE FULLTEXT INDEX version_text IF NOT EXISTS FOR (node:Version) ON EACH [node.id, node.name, node.architecture];
CREATE FULLTEXT INDEX dataset_text IF NOT EXISTS FOR (node:Dataset) ON EACH [node.id, node.name];
