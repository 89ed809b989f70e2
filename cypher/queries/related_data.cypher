// related_data: which states of data relate to which, in any way; in no order, which would take most of the time.
//
// $limit: INTEGER   at most this many
//
// -> child: STRING, parent: STRING
MATCH (child:DatasetVersion)-[:SAME_ROWS_AS|SUBSET_OF|OVERLAPS_WITH|REVISED_FROM]->(parent:DatasetVersion)
RETURN child.id AS child,
       parent.id AS parent
LIMIT $limit
