// dataset_relations: how the states of data in the lake relate: same rows, subset, overlap, revision.
//
// `share` is the estimated share of the child's rows that are in the parent, between `share_low` and `share_high`.
//
// $limit: INTEGER   at most this many
//
// -> child: STRING, parent: STRING, relation: STRING, basis: STRING, confidence: FLOAT, share: FLOAT, share_low: FLOAT,
//    share_high: FLOAT, edit: STRING, method: STRING
MATCH (child:DatasetVersion)-[edge:SAME_ROWS_AS|SUBSET_OF|OVERLAPS_WITH|REVISED_FROM]->(parent:DatasetVersion)
RETURN child.id AS child,
       parent.id AS parent,
       type(edge) AS relation,
       edge.basis AS basis,
       edge.confidence AS confidence,
       edge.share AS share,
       edge.share_low AS share_low,
       edge.share_high AS share_high,
       edge.edit AS edit,
       edge.method AS method
ORDER BY child, parent, relation, basis
LIMIT $limit
