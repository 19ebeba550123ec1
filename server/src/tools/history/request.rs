//! The arguments of `get_violation_history` and their validation.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_ledger::{Filter, FlowFilter};
use tagledger_model::ResourceType;
use tagledger_policy::Code;

use crate::{
    error::ToolFailure,
    tools::common::{
        account_filter::limit_accounts,
        arguments::{Filters, require_non_empty, type_list},
        calendar::{GroupBy, day_in, parse_time_zone},
        time_period::Day,
    },
};

/// The default of `days_back`.
const DEFAULT_DAYS: i64 = 90;

/// The maximum of `days_back`: longer than any ledger.
const MAX_DAYS: i64 = 36_500;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The number of days up to and including the day of the snapshot, 1 to 36,500. Default: 90.
    #[schemars(with = "i64", range(min = 1, max = 36_500))]
    #[serde(default)]
    days_back: Option<i64>,
    /// The period of a point: `day`, `week` (from Monday) or `month`. Default: `week`.
    #[schemars(with = "GroupBy")]
    #[serde(default)]
    group_by: Option<GroupBy>,
    /// The IANA time zone of days, weeks and months, such as `Europe/Berlin`. Default: UTC.
    #[schemars(with = "String")]
    #[serde(default)]
    time_zone: Option<String>,
    /// Default: all types.
    #[schemars(schema_with = "type_list")]
    #[serde(default)]
    resource_types: Option<Vec<ResourceType>>,
    /// One region, one account, or both.
    #[schemars(with = "Filters")]
    #[serde(default)]
    pub(crate) filters: Option<Filters>,
    /// Counts one kind of finding instead of all violations. Cannot be combined with `filters` or `tag`.
    #[schemars(with = "Finding")]
    #[serde(default)]
    finding: Option<Finding>,
    /// Counts only resources with this tag. The key must be a key of the policy. Cannot be combined with other filters.
    #[schemars(with = "TagValue")]
    #[serde(default)]
    tag: Option<TagValue>,
    /// Reads the last snapshot of this day (UTC) or before, such as `2026-10-31`. Default: the latest.
    #[schemars(with = "String")]
    #[serde(default)]
    pub(crate) as_of: Option<Day>,
}

limit_accounts!(filters);

/// A kind of finding: a code, a tag key, or both.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finding {
    /// The code of the finding, such as `MISSING` or `NOT_ALLOWED`. `by_rule` of check_tag_compliance lists the codes.
    #[schemars(with = "String")]
    #[serde(default)]
    code: Option<Code>,
    /// The tag key of the finding.
    #[schemars(with = "String")]
    #[serde(default)]
    tag: Option<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
/// A tag key and value.
pub(crate) struct TagValue {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// The validated arguments.
pub(crate) struct ResolvedRequest {
    pub(crate) days_back: i64,
    pub(crate) group_by: GroupBy,
    pub(crate) zone: TimeZone,
    pub(crate) filter: Filter,
    pub(crate) finding: Option<FlowFilter>,
    pub(crate) tag: Option<TagValue>,
    /// Whether the answer includes spend. The ledger has only the bill of the latest scan.
    pub(crate) costs: bool,
}

impl ResolvedRequest {
    /// # Errors
    ///
    /// When an argument is out of range, or when arguments cannot be combined.
    pub(crate) fn from_arguments(arguments: Arguments) -> Result<Self, ToolFailure> {
        let days_back = arguments.days_back.unwrap_or(DEFAULT_DAYS);
        if !(1..=MAX_DAYS).contains(&days_back) {
            return Err(ToolFailure::Caller(format!("`days_back` must be 1 to {MAX_DAYS}, not {days_back}")));
        }
        let filters = arguments.filters.unwrap_or_default();
        let filter = filters.filter(require_non_empty("resource_types", arguments.resource_types)?);
        let finding = arguments.finding.map(|finding| FlowFilter { code: finding.code, tag: finding.tag });
        if finding.as_ref().is_some_and(|finding| *finding == FlowFilter::default()) {
            return Err(ToolFailure::Caller("`finding` is empty; give `code`, `tag` or both".to_owned()));
        }
        let has_scope = !filter.regions.is_empty() || !filter.accounts.is_empty();
        if finding.is_some() && has_scope {
            let why = "the ledger counts one finding by resource type, not by region or account; omit `filters`";
            return Err(ToolFailure::Caller(why.to_owned()));
        }
        if arguments.tag.is_some() && (finding.is_some() || filter != Filter::default()) {
            let why = "`tag` counts resources of the entire estate; omit the other filters";
            return Err(ToolFailure::Caller(why.to_owned()));
        }
        Ok(Self {
            days_back,
            group_by: arguments.group_by.unwrap_or(GroupBy::Week),
            zone: parse_time_zone(arguments.time_zone.as_deref())?,
            filter,
            finding,
            tag: arguments.tag,
            costs: true,
        })
    }

    /// The first day of the period that contains a timestamp.
    pub(crate) fn period_of(&self, moment: Timestamp) -> Date {
        self.group_by.first_day(day_in(&self.zone, moment))
    }

    /// Whether the ledger counts opened and fixed violations for the filter: it counts them by resource type and finding, but not by
    /// region or account.
    pub(crate) fn has_flows(&self) -> bool {
        self.tag.is_none() && self.filter.regions.is_empty() && self.filter.accounts.is_empty()
    }
}
