// versions_of_model: the versions that a model has.
//
// $model: STRING   id of the model
//
// -> version: STRING, name: STRING, kind: STRING, path: STRING, revision: STRING, position: INTEGER,
//    created_at: STRING, author: STRING
MATCH (:Model {id: $model})-[has:HAS_VERSION]->(version:Version)
RETURN version.id AS version,
       version.name AS name,
       version.kind AS kind,
       has.path AS path,
       has.revision AS revision,
       has.position AS position,
       has.created_at AS created_at,
       has.author AS author
ORDER BY name, version
