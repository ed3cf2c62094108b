"""Where tasks go: node table, filters, ranking."""
