// states_of_dataset: the states that a dataset has had, newest first, and which other datasets have each.
//
// $dataset: STRING   id of the dataset
//
// -> version: STRING, number: INTEGER, path: STRING, name: STRING, format: STRING, rows: INTEGER, bytes: INTEGER,
//    files: INTEGER, columns: LIST<STRING>, splits: LIST<STRING>, shared_splits: LIST<STRING>,
//    datasets: LIST<STRING>
MATCH (:Dataset {id: $dataset})-[has:HAS_VERSION]->(state:DatasetVersion)
OPTIONAL MATCH (other:Dataset)-[:HAS_VERSION]->(state)
WITH has, state, other
ORDER BY other.id
WITH has, state, collect(other.id) AS datasets
RETURN state.id AS version,
       has.number AS number,
       has.path AS path,
       state.name AS name,
       state.format AS format,
       state.rows AS rows,
       state.bytes AS bytes,
       state.files AS files,
       state.columns AS columns,
       state.splits AS splits,
       state.shared_splits AS shared_splits,
       datasets
ORDER BY number DESC, version
