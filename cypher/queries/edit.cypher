// edit: one edit, what came out of it and what went in.
//
// $edit: STRING   its id
//
// -> edit: STRING, kind: STRING, basis: STRING, method: STRING, confidence: FLOAT, summary: STRING,
//    parameters: STRING, runner_up: STRING, child: STRING, parents: LIST<STRING>
MATCH (edit:Edit {id: $edit})-[:OUTPUT]->(child)
OPTIONAL MATCH (edit)-[:INPUT]->(parent)
WITH edit, child, parent.id AS parent
ORDER BY parent
RETURN edit.id AS edit,
       edit.kind AS kind,
       edit.basis AS basis,
       edit.method AS method,
       edit.confidence AS confidence,
       edit.summary AS summary,
       edit.parameters AS parameters,
       edit.runner_up AS runner_up,
       child.id AS child,
       collect(DISTINCT parent) AS parents
