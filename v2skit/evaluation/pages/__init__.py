"""HTML pages that open from disk: the report of experiments, listening tests, and the look that all pages share."""
