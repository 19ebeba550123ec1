//! Wakes the daemon at each occurrence of the schedule.

use std::{future::Future, pin::Pin, sync::Arc};

use chrono_tz::Tz;
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tracing::warn;

use crate::daemon::schedule::Schedule;

/// A running scheduler that sends a wake-up at each occurrence.
///
/// It decides nothing. [`ScheduleState`](crate::daemon::due::ScheduleState) decides at each wake-up whether a scan is due.
pub(crate) struct ScheduleTrigger {
    scheduler: JobScheduler,
    wake_up: Arc<Notify>,
}

impl ScheduleTrigger {
    /// Starts the scheduler.
    ///
    /// # Errors
    ///
    /// When the library rejects the expression or cannot start its tasks.
    pub(crate) async fn start(schedule: &Schedule) -> Result<Self, JobSchedulerError> {
        let expression = schedule.expression();
        // The library expects a field for seconds first, except in a nickname such as `@daily`.
        let with_seconds = if expression.starts_with('@') { expression.to_owned() } else { format!("0 {expression}") };
        Self::start_with_seconds(&with_seconds, schedule.cron_zone()).await
    }

    async fn start_with_seconds(expression: &str, zone: Tz) -> Result<Self, JobSchedulerError> {
        let wake_up = Arc::new(Notify::new());
        let notify = Arc::clone(&wake_up);
        let job = Job::new_async_tz(expression, zone, move |_, _| -> Pin<Box<dyn Future<Output = ()> + Send>> {
            let notify = Arc::clone(&notify);
            Box::pin(async move { notify.notify_one() })
        })?;
        let scheduler = JobScheduler::new().await?;
        scheduler.add(job).await?;
        scheduler.start().await?;
        Ok(Self { scheduler, wake_up })
    }

    /// Waits for the next wake-up. A wake-up that was sent before this call is not lost.
    pub(crate) async fn wait(&self) {
        self.wake_up.notified().await;
    }

    /// Stops the scheduler.
    pub(crate) async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            warn!("the scheduler did not stop: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// The trigger wakes its caller at each occurrence, and not after it is stopped.
    #[tokio::test]
    async fn trigger_wakes_at_each_occurrence() {
        let trigger = ScheduleTrigger::start_with_seconds("* * * * * *", Tz::Europe__Berlin).await.unwrap();
        for _ in 0..2 {
            timeout(Duration::from_secs(10), trigger.wait()).await.unwrap();
        }
        let wake_up = Arc::clone(&trigger.wake_up);
        trigger.stop().await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        // At most one wake-up that was sent before the scheduler stopped is still stored.
        drop(timeout(Duration::ZERO, wake_up.notified()).await);
        assert!(timeout(Duration::from_secs(2), wake_up.notified()).await.is_err());
    }

    /// Every form of a cron expression that a schedule accepts is accepted by the scheduler library, too.
    #[tokio::test]
    async fn trigger_accepts_schedule_expressions() {
        for expression in ["0 2 * * *", "15 3 * * SUN", "0 */6 * * *", "30 1 1,15 1-6 *", "0 0 L * *", "@daily"] {
            let schedule = Schedule::parse(expression, "Asia/Tokyo").unwrap();
            ScheduleTrigger::start(&schedule).await.unwrap().stop().await;
        }
    }
}
