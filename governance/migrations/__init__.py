"""Migrations of the records, run when a store is opened that is older than the code."""
