"""Writing many documents: batches, threads, retries and an account of every document."""
