//! A simulated estate.
