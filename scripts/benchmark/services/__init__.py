"""The benchmark through real brokers: throughput, latency and memory with commits on.

``scripts/bench --services`` measures; ``--services --soak`` looks for memory that grows.
"""
