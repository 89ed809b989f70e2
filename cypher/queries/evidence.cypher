// evidence: what speaks for and against an edit, strongest first.
//
// $edit: STRING   its id
//
// -> id: STRING, kind: STRING, statement: STRING, value: FLOAT, log_odds: FLOAT, method: STRING, method_version: STRING,
//    file: STRING, field: STRING, tensor: STRING, excerpt: STRING
MATCH (:Edit {id: $edit})-[:SUPPORTED_BY]->(evidence:Evidence)
RETURN evidence.id AS id,
       evidence.kind AS kind,
       evidence.statement AS statement,
       evidence.value AS value,
       evidence.log_odds AS log_odds,
       evidence.method AS method,
       evidence.method_version AS method_version,
       evidence.file AS file,
       evidence.field AS field,
       evidence.tensor AS tensor,
       evidence.excerpt AS excerpt
ORDER BY abs(log_odds) DESC, kind, id
