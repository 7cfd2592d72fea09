"""One interface over vector stores."""
