"""Every workload beside the same work written directly on redis-py, in one interleaved run."""
