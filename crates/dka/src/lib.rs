//! The disk adapter: staging, destaging and parity groups.
