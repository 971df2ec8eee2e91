//! A disk-array control unit in software, with in-system replication: library and program.
