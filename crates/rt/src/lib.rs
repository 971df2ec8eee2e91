//! The real-time driver: worker threads, real drives, wall clock.
