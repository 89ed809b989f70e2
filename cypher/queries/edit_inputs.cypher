// edit_inputs: the versions that go into an edit, with their roles and weights.
//
// $edit: STRING   its id
//
// -> parent: STRING, role: STRING, weight: FLOAT
MATCH (:Edit {id: $edit})-[input:INPUT]->(parent:Version)
RETURN parent.id AS parent,
       input.role AS role,
       input.weight AS weight
ORDER BY parent, role
