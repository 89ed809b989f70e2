// datasets_of_state: the datasets that have a state of data: several where the same bytes lie under several names.
//
// $state: STRING   its id
//
// -> dataset: STRING, number: INTEGER
MATCH (dataset:Dataset)-[has:HAS_VERSION]->(:DatasetVersion {id: $state})
RETURN dataset.id AS dataset,
       has.number AS number
ORDER BY dataset
