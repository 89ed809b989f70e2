// edits_from: the declared edits that a version goes into.
//
// $version: STRING   its id
//
// -> edit: STRING, kind: STRING, child: STRING, method: STRING, summary: STRING, claimed_by: STRING
MATCH (child:Version)<-[:OUTPUT]-(edit:Edit)-[:INPUT]->(:Version {id: $version})
WHERE edit.basis = 'declared'
OPTIONAL MATCH (edit)-[:CLAIMED_BY]->(agent:Agent)
RETURN edit.id AS edit,
       edit.kind AS kind,
       child.id AS child,
       edit.method AS method,
       edit.summary AS summary,
       agent.id AS claimed_by
ORDER BY edit
