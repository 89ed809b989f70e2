// models_of_data: the versions that are said or found to be trained on a state of data, and what says so.
//
// $state: STRING   id of the state
//
// -> version: STRING, name: STRING, models: LIST<STRING>, basis: STRING, confidence: FLOAT, edit: STRING, method: STRING,
//    summary: STRING, licenses: LIST<STRING>
MATCH (trained:Version)-[edge:TRAINED_ON]->(:DatasetVersion {id: $state})
MATCH (behind:Edit)
WHERE behind.id = edge.edit
OPTIONAL MATCH (model:Model)-[:HAS_VERSION]->(trained)
WITH trained, edge, behind, model
ORDER BY model.id
RETURN trained.id AS version,
       trained.name AS name,
       collect(model.id) AS models,
       edge.basis AS basis,
       edge.confidence AS confidence,
       edge.edit AS edit,
       edge.method AS method,
       behind.summary AS summary,
       collect(model.license) AS licenses
ORDER BY name, version, basis
