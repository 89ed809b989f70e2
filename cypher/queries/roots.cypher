// roots: versions without a parent that have children.
//
// -> version: STRING, name: STRING, ghost: BOOLEAN, children: INTEGER
MATCH (root:Version)
WHERE NOT EXISTS { (root)-[:FINE_TUNED_FROM|ADAPTED_FROM|MERGED_FROM|DISTILLED_FROM|QUANTIZED_FROM|PRUNED_FROM|EDITED_FROM|EXPANDED_FROM|REPARAMETRIZED_FROM]->(:Version) }
WITH root, COUNT { (root)<-[:FINE_TUNED_FROM|ADAPTED_FROM|MERGED_FROM|DISTILLED_FROM|QUANTIZED_FROM|PRUNED_FROM|EDITED_FROM|EXPANDED_FROM|REPARAMETRIZED_FROM]-(:Version) } AS children
WHERE children > 0
RETURN root.id AS version,
       root.name AS name,
       root:Ghost AS ghost,
       children
ORDER BY name, version
