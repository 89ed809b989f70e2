// statistics: how many nodes of each label and relationships of each type and basis there are.
//
// -> what: STRING, name: STRING, basis: STRING, count: INTEGER
CALL {
  MATCH (node)
  UNWIND labels(node) AS label
  RETURN 'node' AS what, label AS name, '' AS basis, count(*) AS count
  UNION ALL
  MATCH ()-[edge]->()
  RETURN 'relationship' AS what, type(edge) AS name, coalesce(edge.basis, '') AS basis, count(*) AS count
}
WITH what, name, basis, count
WHERE name <> 'Schema'
RETURN what, name, basis, count
ORDER BY what, name, basis
