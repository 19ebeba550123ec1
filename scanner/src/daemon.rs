//! The scanner daemon: schedule, jobs and the clock.

pub(crate) mod due;
pub(crate) mod job;
pub(crate) mod jobs;
pub(crate) mod run;
pub(crate) mod schedule;
pub(crate) mod trigger;
pub(crate) mod wall_clock;
