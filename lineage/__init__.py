"""From fingerprints to inferences: families, typed relations, direction, merges, confidence. Floor 1."""
