//! The resources of the simulated company on one day.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use tagledger_model::{
    Arn,
    inventory::{RelationshipKind, Relationships, Resource, Scope, Tags},
    resource_types::arn_shape::{ArnScope, IdSource},
};

use crate::simulated::{
    company::{self, Application, DAYS},
    population::population,
    rng::Rng,
    sizes::ResourceSize,
    tagging_errors,
};

/// The resources of one day. Each resource is computed when it is requested, so an estate of any size uses no memory.
#[derive(Debug, Clone)]
pub(crate) struct Estate {
    pub(crate) seed: u64,
    /// Approximate number of resources.
    pub(crate) size: u32,
    /// The date of day 90.
    pub(crate) last: Date,
    /// The simulated day, 0 to 90.
    pub(crate) day: u16,
}

impl Estate {
    /// Returns the same estate on another day, 0 to 90.
    pub(crate) fn on_day(&self, day: u16) -> Self {
        Self { day: day.min(DAYS), ..*self }
    }

    /// Returns the date of the simulated day.
    pub(crate) fn date(&self) -> Date {
        self.date_of(i32::from(self.day))
    }

    fn date_of(&self, day: i32) -> Date {
        self.last.saturating_sub((i32::from(DAYS) - day).days())
    }

    /// Returns the number of different resources that a scope has on all days together.
    pub(crate) fn resource_count(&self, scope: &Scope) -> u32 {
        let parts = u64::from(self.size) * company::share(scope);
        u32::try_from(parts / company::TOTAL_SHARES).unwrap_or(u32::MAX)
    }

    /// Returns the resource with this number. `None` if it does not exist on the simulated day.
    pub(crate) fn resource(&self, scope: &Scope, number: u32) -> Option<Resource> {
        let mut rng = Rng::new(self.seed, &scope.to_string(), number);
        let created = tagging_errors::creation_day(&mut rng);
        let deleted = tagging_errors::deletion_day(&mut rng, created);
        let today = i32::from(self.day);
        if today < created || deleted.is_some_and(|day| today >= day) {
            return None;
        }
        let application = Application::choose(&mut rng, scope);
        let name = application.resource_name(scope, number, &mut rng);
        let arn = arn(scope, &name, &mut rng)?;
        let tags = tagging_errors::tags(&application, &name, scope, self.day, &mut rng);
        Some(Resource {
            arn,
            created_at: self.creation_time(created, &mut rng),
            tags: Tags::Known(tags),
            usage: ResourceSize::choose(self.seed, scope, number).usage(scope.resource_type),
            links: self.relationships(&application, scope),
        })
    }

    /// The instances, databases and functions of an application share a security group and a role in each account. The
    /// VPC is shared by all applications of an account and region.
    fn relationships(&self, application: &Application, scope: &Scope) -> Relationships {
        if !population(scope.resource_type).is_connected {
            return Relationships::default();
        }
        let network = format!("{}/{}", scope.account, scope.region);
        let group = format!("{network}/{}/{}", application.name, application.environment);
        let id = |kind: &str, owner: &str| format!("{kind}-0{:016x}", Rng::new(self.seed, owner, 0).next_u64());
        let role = format!("arn:aws:iam::{}:role/{}", scope.account, application.name);
        let related = [
            (RelationshipKind::SecurityGroup, id("sg", &group)),
            (RelationshipKind::Role, role),
            (RelationshipKind::Vpc, id("vpc", &network)),
        ];
        Relationships::to(None, related.iter().map(|(kind, name)| (*kind, Some(name.as_str()))))
    }

    fn creation_time(&self, day: i32, rng: &mut Rng) -> Option<Timestamp> {
        let minute = i8::try_from(rng.below(60)).ok()?;
        let hour = i8::try_from(7 + rng.below(11)).ok()?;
        TimeZone::UTC.to_timestamp(self.date_of(day).at(hour, minute, 0, 0)).ok()
    }
}

fn arn(scope: &Scope, name: &str, rng: &mut Rng) -> Option<Arn> {
    let shape = &scope.resource_type.spec().arn;
    let id = match (shape.id, shape.scope) {
        (IdSource::Aws, _) => format!("0{:016x}", rng.next_u64()),
        (IdSource::User, ArnScope::Regional) => name.to_owned(),
        // The name is unique in the partition.
        (IdSource::User, ArnScope::Global) => format!("acme-{name}-{}", scope.region),
    };
    let mut ids = vec!["main"; shape.placeholders()];
    *ids.last_mut()? = &id;
    shape.write_arn("aws", scope.region.as_str(), scope.account.as_str(), &ids).parse().ok()
}
