// neighbourhood_down: lineage edges one step to the children of some versions.
//
// $versions: LIST<STRING>   ids of the versions to step from
// $min_confidence: FLOAT    leave out edges less sure than this, 0 to 1
//
// -> child: STRING, parent: STRING, relation: STRING, basis: STRING, confidence: FLOAT, edit: STRING, method: STRING,
//    weight: FLOAT
// One look-up a version: a database that is given a list to compare with reads the list anew for each.
UNWIND $versions AS wanted
WITH DISTINCT wanted
MATCH (parent:Version {id: wanted})
MATCH (child:Version)-[edge:FINE_TUNED_FROM|ADAPTED_FROM|MERGED_FROM|DISTILLED_FROM|QUANTIZED_FROM|PRUNED_FROM|EDITED_FROM|EXPANDED_FROM|REPARAMETRIZED_FROM]->(parent)
WHERE edge.confidence >= $min_confidence
RETURN child.id AS child,
       parent.id AS parent,
       type(edge) AS relation,
       edge.basis AS basis,
       edge.confidence AS confidence,
       edge.edit AS edit,
       edge.method AS method,
       edge.weight AS weight
ORDER BY child, parent, relation, basis
