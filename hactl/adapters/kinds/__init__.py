"""Kinds of archive software, one in each file. docs/archive-kinds.md tells how one is added."""
