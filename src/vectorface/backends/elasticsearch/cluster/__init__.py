"""What manages the cluster rather than documents: reaching it, waiting for it, ingest pipelines."""
