// contradictions: children whose documentation and whose weights do not say the same.
//
// One row a child that has an edge of one basis without its like of the other: another parent, another relation, or none
// at all. Each side lists `RELATION parent`; an empty list says that nothing was declared, or nothing inferred.
//
// $min_confidence: FLOAT   leave out inferred edges less sure than this, 0 to 1
//
// -> child: STRING, name: STRING, declared: LIST<STRING>, inferred: LIST<STRING>
MATCH (child:Version)-[edge:FINE_TUNED_FROM|ADAPTED_FROM|MERGED_FROM|DISTILLED_FROM|QUANTIZED_FROM|PRUNED_FROM|EDITED_FROM|EXPANDED_FROM|REPARAMETRIZED_FROM]->(parent:Version)
WHERE edge.basis = 'declared' OR edge.confidence >= $min_confidence
WITH child, edge.basis AS basis, type(edge) + ' ' + parent.id AS said
ORDER BY said
WITH child,
     collect(CASE WHEN basis = 'declared' THEN said END) AS declared,
     collect(CASE WHEN basis = 'inferred' THEN said END) AS inferred
WHERE declared <> inferred
RETURN child.id AS child,
       child.name AS name,
       declared,
       inferred
ORDER BY name, child
