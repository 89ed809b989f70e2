// datasets_of_version: what a version was trained on, as declared or inferred, surest first.
//
// $version: STRING   its id
//
// -> dataset_version: STRING, name: STRING, basis: STRING, confidence: FLOAT, edit: STRING, method: STRING,
//    datasets: LIST<STRING>, licenses: LIST<STRING>
MATCH (:Version {id: $version})-[edge:TRAINED_ON]->(data:DatasetVersion)
OPTIONAL MATCH (dataset:Dataset)-[:HAS_VERSION]->(data)
WITH data, edge, dataset
ORDER BY dataset.id
RETURN data.id AS dataset_version,
       data.name AS name,
       edge.basis AS basis,
       edge.confidence AS confidence,
       edge.edit AS edit,
       edge.method AS method,
       collect(dataset.id) AS datasets,
       collect(dataset.license) AS licenses
ORDER BY confidence DESC, dataset_version, basis
