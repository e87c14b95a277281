"""The same workloads in other queues, each with its documented defaults."""
