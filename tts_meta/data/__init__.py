"""Corpora, batches, tasks."""
