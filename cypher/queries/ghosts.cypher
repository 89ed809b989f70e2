// ghosts: versions that are named or implied, but absent, with how many versions descend from each directly.
//
// -> version: STRING, name: STRING, children: INTEGER
MATCH (ghost:Ghost)
RETURN ghost.id AS version,
       ghost.name AS name,
       COUNT { (ghost)<-[:FINE_TUNED_FROM|ADAPTED_FROM|MERGED_FROM|DISTILLED_FROM|QUANTIZED_FROM|PRUNED_FROM|EDITED_FROM|EXPANDED_FROM|REPARAMETRIZED_FROM]-(:Version) } AS children
ORDER BY name, version
