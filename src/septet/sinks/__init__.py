"""Brings the answers of jobs to where they are wanted: webhooks, files, Redis streams and SQL tables."""
