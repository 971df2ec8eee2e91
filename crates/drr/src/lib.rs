//! The address change unit: transfer with LA rewrite and CD recompute, verify, parity.
