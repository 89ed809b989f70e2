// Relations between states of data.
CREATE INDEX datasetversion_format IF NOT EXISTS FOR (node:DatasetVersion) ON (node.format);
