//! The control port over real HTTP, with the simulated company behind it.

#[cfg(test)]
mod running;
#[cfg(test)]
mod tests;
