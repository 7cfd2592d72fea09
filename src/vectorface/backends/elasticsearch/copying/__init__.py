"""Copying indexes on the server, and moving one to ELSER."""
