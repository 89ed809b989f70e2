// version: one version, with every model that has it.
//
// $version: STRING   its id
//
// -> version: STRING, name: STRING, kind: STRING, architecture: STRING, formats: LIST<STRING>, dtype: STRING,
//    parameters: INTEGER, tensors: INTEGER, bytes: INTEGER, fingerprint: INTEGER, models: LIST<STRING>
MATCH (version:Version {id: $version})
OPTIONAL MATCH (model:Model)-[:HAS_VERSION]->(version)
WITH version, model
ORDER BY model.id
RETURN version.id AS version,
       version.name AS name,
       version.kind AS kind,
       version.architecture AS architecture,
       version.formats AS formats,
       version.dtype AS dtype,
       version.parameters AS parameters,
       version.tensors AS tensors,
       version.bytes AS bytes,
       version.fingerprint AS fingerprint,
       collect(model.id) AS models
