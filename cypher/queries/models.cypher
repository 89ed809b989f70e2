// models: every model, with how many versions it has.
//
// $limit: INTEGER   at most this many
//
// -> model: STRING, name: STRING, organization: STRING, location: STRING, license: STRING, created_at: STRING,
//    versions: INTEGER
MATCH (model:Model)
RETURN model.id AS model,
       model.name AS name,
       model.organization AS organization,
       model.location AS location,
       model.license AS license,
       model.created_at AS created_at,
       COUNT { (model)-[:HAS_VERSION]->(:Version) } AS versions
ORDER BY model
LIMIT $limit
