// children: what was derived from a version, surest first, each with the evidence that speaks for it.
//
// A declared and an inferred edge to the same child are two rows: agreement is for the reader to see. Ghosts (versions
// named or implied, but absent) are included and marked.
//
// $version: STRING         id of the version to start from
// $min_confidence: FLOAT   leave out edges less sure than this, 0 to 1
//
// -> version: STRING, name: STRING, relation: STRING, basis: STRING, confidence: FLOAT, edit: STRING, ghost: BOOLEAN,
//    evidence: LIST<STRING>
MATCH (:Version {id: $version})<-[edge:FINE_TUNED_FROM|ADAPTED_FROM|MERGED_FROM|DISTILLED_FROM|QUANTIZED_FROM|PRUNED_FROM|EDITED_FROM|EXPANDED_FROM|REPARAMETRIZED_FROM]-(child:Version)
WHERE edge.confidence >= $min_confidence
OPTIONAL MATCH (:Edit {id: edge.edit})-[:SUPPORTED_BY]->(evidence:Evidence)
WITH child, edge, evidence
ORDER BY evidence.log_odds DESC
RETURN child.id AS version,
       child.name AS name,
       type(edge) AS relation,
       edge.basis AS basis,
       edge.confidence AS confidence,
       edge.edit AS edit,
       child:Ghost AS ghost,
       collect(evidence.kind) AS evidence
ORDER BY confidence DESC, version, relation, basis
