"""One program an engine; each imports its engine and the standard library, farwatch's aside."""
