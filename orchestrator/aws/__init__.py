"""Adapters to AWS: one call each, paged fully, translated into values."""
