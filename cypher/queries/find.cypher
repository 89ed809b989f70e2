// find: versions by a part of their name, of their id or of a model's id or name, best match first.
//
// Upper and lower case do not matter. The whole name ranks before its beginning, its beginning before its middle;
// of equals, what is in the lake before what is only named or implied.
//
// $text: STRING     what to look for; empty finds everything
// $limit: INTEGER   at most this many
//
// -> version: STRING, name: STRING, rank: INTEGER
MATCH (version:Version)
OPTIONAL MATCH (model:Model)-[:HAS_VERSION]->(version)
WITH version, toLower($text) AS text, [version.name, version.id] + collect(model.id) + collect(model.name) AS names
UNWIND names AS named
WITH version, text, toLower(named) AS named
WHERE named CONTAINS text
WITH version,
     version:Ghost AS absent,
     min(CASE WHEN named = text THEN 0
              WHEN named STARTS WITH text THEN 1
              WHEN named ENDS WITH '/' + text THEN 1
              WHEN named CONTAINS '/' + text THEN 2
              ELSE 3 END) AS rank
RETURN version.id AS version,
       version.name AS name,
       rank
ORDER BY rank, absent, name, version
LIMIT $limit
