"""Versioned SQL, one file a version, read as package data."""
