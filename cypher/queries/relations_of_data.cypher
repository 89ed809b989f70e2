// relations_of_data: how one state of data relates to others, surest first; `forward` where it is the child.
//
// $state: STRING   id of the state
//
// -> other: STRING, name: STRING, forward: BOOLEAN, relation: STRING, basis: STRING, confidence: FLOAT, share: FLOAT,
//    share_low: FLOAT, share_high: FLOAT, edit: STRING, summary: STRING
MATCH (state:DatasetVersion {id: $state})-[edge:SAME_ROWS_AS|SUBSET_OF|OVERLAPS_WITH|REVISED_FROM]-(other:DatasetVersion)
MATCH (behind:Edit)
WHERE behind.id = edge.edit
RETURN other.id AS other,
       other.name AS name,
       startNode(edge).id = $state AS forward,
       type(edge) AS relation,
       edge.basis AS basis,
       edge.confidence AS confidence,
       edge.share AS share,
       edge.share_low AS share_low,
       edge.share_high AS share_high,
       edge.edit AS edit,
       behind.summary AS summary
ORDER BY confidence DESC, relation, name, other, forward
