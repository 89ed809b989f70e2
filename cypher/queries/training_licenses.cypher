// training_licenses: models that are said or found to be trained on data with a licence, and the licences of both.
//
// $limit: INTEGER   at most this many
//
// -> dataset: STRING, data_license: STRING, version: STRING, model: STRING, model_license: STRING
MATCH (dataset:Dataset)-[:HAS_VERSION]->(:DatasetVersion)<-[:TRAINED_ON]-(trained:Version)<-[:HAS_VERSION]-(model:Model)
WHERE dataset.license IS NOT NULL AND model.license IS NOT NULL
RETURN DISTINCT dataset.id AS dataset,
       dataset.license AS data_license,
       trained.id AS version,
       model.id AS model,
       model.license AS model_license
ORDER BY dataset, model, version
LIMIT $limit
