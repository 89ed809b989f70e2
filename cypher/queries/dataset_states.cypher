// dataset_states: every state of every dataset that was read, oldest first.
//
// $limit: INTEGER   at most this many
//
// -> dataset: STRING, version: STRING, number: INTEGER
MATCH (dataset:Dataset)-[has:HAS_VERSION]->(state:DatasetVersion)
WHERE has.number IS NOT NULL
RETURN dataset.id AS dataset,
       state.id AS version,
       has.number AS number
ORDER BY dataset, number, version
LIMIT $limit
