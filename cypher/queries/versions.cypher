// versions: what people see of some versions: their models, their license, how many parents and children they have.
//
// $versions: LIST<STRING>   their ids; unknown ones are left out
//
// -> version: STRING, name: STRING, kind: STRING, architecture: STRING, dtype: STRING, parameters: INTEGER,
//    models: LIST<STRING>, license: STRING, parents: INTEGER, children: INTEGER
// One look-up a version: a database that is given a list to compare with reads the list anew for each.
UNWIND $versions AS wanted
WITH DISTINCT wanted
MATCH (version:Version {id: wanted})
OPTIONAL MATCH (model:Model)-[:HAS_VERSION]->(version)
WITH version, model
ORDER BY model.id
WITH version, collect(model.id) AS models, collect(model.license) AS licenses
RETURN version.id AS version,
       version.name AS name,
       version.kind AS kind,
       version.architecture AS architecture,
       version.dtype AS dtype,
       version.parameters AS parameters,
       models,
       licenses[0] AS license,
       COUNT { (version)-[:FINE_TUNED_FROM|ADAPTED_FROM|MERGED_FROM|DISTILLED_FROM|QUANTIZED_FROM|PRUNED_FROM|EDITED_FROM|EXPANDED_FROM|REPARAMETRIZED_FROM]->(:Version) } AS parents,
       COUNT { (version)<-[:FINE_TUNED_FROM|ADAPTED_FROM|MERGED_FROM|DISTILLED_FROM|QUANTIZED_FROM|PRUNED_FROM|EDITED_FROM|EXPANDED_FROM|REPARAMETRIZED_FROM]-(:Version) } AS children
ORDER BY name, version
