//! Cache memory: pooled slots, directory, clean and dirty queues, limits.
