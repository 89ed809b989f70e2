// dataset_ghosts: data that is only named: the state that stands for it, and the declared edits that lead there.
//
// -> version: STRING, name: STRING, edit: STRING, child: STRING, method: STRING, summary: STRING, claimed_by: STRING
MATCH (child:Version)<-[:OUTPUT]-(edit:Edit)-[:INPUT]->(ghost:DatasetVersion)
WHERE ghost.id STARTS WITH 'ghost:dataset:' AND edit.basis = 'declared'
OPTIONAL MATCH (edit)-[:CLAIMED_BY]->(agent:Agent)
RETURN ghost.id AS version,
       ghost.name AS name,
       edit.id AS edit,
       child.id AS child,
       edit.method AS method,
       edit.summary AS summary,
       agent.id AS claimed_by
ORDER BY version, edit
