// inferred_edges: every inferred lineage edge.
//
// $limit: INTEGER   at most this many
//
// -> child: STRING, parent: STRING, relation: STRING, basis: STRING, confidence: FLOAT, edit: STRING, method: STRING,
//    weight: FLOAT
MATCH (child:Version)-[edge:FINE_TUNED_FROM|ADAPTED_FROM|MERGED_FROM|DISTILLED_FROM|QUANTIZED_FROM|PRUNED_FROM|EDITED_FROM|EXPANDED_FROM|REPARAMETRIZED_FROM]->(parent:Version)
WHERE edge.basis = 'inferred'
RETURN child.id AS child,
       parent.id AS parent,
       type(edge) AS relation,
       edge.basis AS basis,
       edge.confidence AS confidence,
       edge.edit AS edit,
       edge.method AS method,
       edge.weight AS weight
ORDER BY child, parent, relation, basis
LIMIT $limit
