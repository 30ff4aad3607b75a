"""How bytes come and go: one file a technology, one contract, chosen by URL scheme."""
