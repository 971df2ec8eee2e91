//! The control unit: commands, status rules, copy and change jobs, pace, history.
