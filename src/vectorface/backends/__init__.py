"""The backends: how each server or library says what the interface asks."""
