// dataset: one dataset with its newest state, as `datasets` has it.
//
// $dataset: STRING   its id
//
// -> dataset: STRING, name: STRING, location: STRING, license: STRING, url: STRING, citation: STRING,
//    splits: LIST<STRING>, versions: INTEGER, models: INTEGER, version: STRING, number: INTEGER, format: STRING,
//    rows: INTEGER, bytes: INTEGER, columns: LIST<STRING>, shared_splits: LIST<STRING>
MATCH (dataset:Dataset {id: $dataset})
OPTIONAL MATCH (dataset)-[:HAS_VERSION]->(:DatasetVersion)<-[:TRAINED_ON]-(trained:Version)
WITH dataset, count(DISTINCT trained) AS models
MATCH (dataset)-[has:HAS_VERSION]->(state:DatasetVersion)
WITH dataset, models, has, state
ORDER BY coalesce(has.number, 0) DESC, state.id
WITH dataset, models, collect(state) AS states, collect(has.number) AS numbers
WITH dataset, models, states, states[0] AS newest, numbers[0] AS number
RETURN dataset.id AS dataset,
       dataset.name AS name,
       dataset.location AS location,
       dataset.license AS license,
       dataset.url AS url,
       dataset.citation AS citation,
       dataset.splits AS splits,
       size(states) AS versions,
       models,
       newest.id AS version,
       number,
       newest.format AS format,
       newest.rows AS rows,
       newest.bytes AS bytes,
       newest.columns AS columns,
       newest.shared_splits AS shared_splits
