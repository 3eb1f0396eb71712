"""Registries themselves: try logins and pulls over the Registry v2 API before any instance is touched."""
