//! The virtual-time driver: event heap, resource queues, cost models.
