//! EC2: regions, instances and volumes. EC2 query protocol.

use std::fmt::Write as _;

use crate::{
    account_region::{AccountRegion, InterleavedList, Kind, ListEntry},
    errors::{self, ApiError},
    estate::OptIn,
    pagination::{Page, Paging},
    prices::{instance_type, volume_size},
    protocol::{Call, Outcome, Reply, escape, optional, xml_tags},
    response_details::{INSTANCE, VOLUME},
};

const MAX_PAGE_SIZE: usize = 1000;
const MAX_FILTER_VALUES: usize = 200;

/// Handles a call of this service.
pub(crate) fn handle(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    match call.operation.as_str() {
        "DescribeRegions" => describe_regions(account_region, call),
        "DescribeInstances" => describe_instances(account_region, call),
        "DescribeVolumes" => describe_volumes(account_region, call),
        _ => Err(ApiError::unsupported(call)),
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterValue", message)
}

fn document(operation: &str, content: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{operation}Response \
         xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>{}</requestId>{content}</{operation}Response>",
        errors::REQUEST_ID
    )
}

fn describe_regions(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    if let Some((name, _)) = filters(call).first() {
        return Err(invalid(format!("The filter '{name}' is invalid")));
    }
    let all = call.param("AllRegions") == Some("true");
    let names = call.param_list("RegionName");
    let is_requested = |name: &str| names.is_empty() || names.contains(&name);
    let listed = account_region
        .account
        .regions
        .iter()
        .filter(|r| (all || r.opt_in != OptIn::NotOptedIn) && is_requested(&r.name));
    let regions: Vec<String> = listed
        .map(|region| {
            let (name, status) = (escape(&region.name), region.opt_in.as_str());
            format!(
                "<item><regionName>{name}</regionName><regionEndpoint>ec2.{name}.amazonaws.com</regionEndpoint>\
                 <optInStatus>{status}</optInStatus></item>"
            )
        })
        .collect();
    let content = format!("<regionInfo>{}</regionInfo>", regions.concat());
    Ok(Reply { body: document("DescribeRegions", &content), items: regions.len() })
}

/// Returns the names and values of the filters of a call.
fn filters(call: &Call) -> Vec<(&str, Vec<&str>)> {
    let filters = (1..).map_while(|n| Some((n, call.param(&format!("Filter.{n}.Name"))?)));
    filters.map(|(n, name)| (name, call.param_list(&format!("Filter.{n}.Value")))).collect()
}

/// Returns an error for filters that the operation does not have, and for too many filter values.
fn check_filters(filters: &[(&str, Vec<&str>)], supported: &[&str]) -> Result<(), ApiError> {
    for (name, values) in filters {
        if !supported.contains(name) {
            return Err(invalid(format!("The filter '{name}' is invalid")));
        }
        if values.len() > MAX_FILTER_VALUES {
            return Err(ApiError::new(400, "FilterLimitExceeded", "The maximum length for a filter value list is 200"));
        }
    }
    Ok(())
}

/// Returns the index of an instance. The index of a deleted one is past the count.
fn entry_index(list: InterleavedList, entry: ListEntry) -> usize {
    match entry {
        ListEntry::Active(index) => index,
        ListEntry::Deleted(number) => list.active + number,
    }
}

/// Returns the requested page of the entries that match the filters, within the limits of AWS.
fn page(call: &Call, ids: &[&str], list: &str, len: usize, matches: impl Fn(usize) -> bool) -> Result<Page, ApiError> {
    let size = call.number("MaxResults").map_err(invalid)?;
    if let Some(size) = size.filter(|size| !(5..=MAX_PAGE_SIZE).contains(size)) {
        let bound = if size < 5 { "greater than 5" } else { "smaller than 1000" };
        return Err(invalid(format!(
            "Value ( {size} ) for parameter maxResults is invalid. Expecting a value {bound}."
        )));
    }
    if size.is_some() && !ids.is_empty() {
        let message = "The parameter maxResults cannot be used with a list of ids in the same call.";
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    let scope = call.scope(&format!("{list}{:?}", filters(call)));
    let size = size.unwrap_or(MAX_PAGE_SIZE);
    let paging = Paging { scope: &scope, token: call.param("NextToken"), size, effect: call.effect.as_ref() };
    let bad_token = || ApiError::new(400, "InvalidNextToken", "The specified NextToken is not valid.");
    paging.page_where(len, matches).ok_or_else(bad_token)
}

/// Returns the indexes of resources with these IDs. EC2 rejects the call if one ID is unknown or malformed.
fn indexes(account_region: &AccountRegion<'_>, kind: Kind, ids: &[&str], len: usize) -> Result<Vec<usize>, ApiError> {
    let (code, word, prefix) = match kind {
        Kind::Volume => ("InvalidVolume", "volume", "vol-"),
        _ => ("InvalidInstanceID", "instance ID", "i-"),
    };
    let index = |id: &&str| {
        if !id.starts_with(prefix) {
            return Err(ApiError::new(400, &format!("{code}.Malformed"), format!("Invalid id: \"{id}\"")));
        }
        let found = account_region.find_id(kind, id).filter(|index| *index < len);
        let missing = || format!("The {word} '{id}' does not exist");
        found.ok_or_else(|| ApiError::new(400, &format!("{code}.NotFound"), missing()))
    };
    ids.iter().map(index).collect()
}

fn state(account_region: &AccountRegion<'_>, entry: ListEntry) -> (u8, &'static str) {
    match entry {
        ListEntry::Deleted(_) => (48, "terminated"),
        ListEntry::Active(index) if account_region.is_stopped(index) => (80, "stopped"),
        ListEntry::Active(_) => (16, "running"),
    }
}

fn describe_instances(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let list = InterleavedList {
        active: account_region.count(Kind::Instance),
        every: account_region.estate.traps.terminated_every,
    };
    let filters = filters(call);
    check_filters(&filters, &["instance-id", "instance-state-name"])?;
    let matches = |entry: ListEntry| {
        filters.iter().all(|(name, values)| match *name {
            "instance-id" => values.contains(&account_region.id(Kind::Instance, entry_index(list, entry)).as_str()),
            _ => values.contains(&state(account_region, entry).1),
        })
    };
    let ids = call.param_list("InstanceId");
    let page = page(call, &ids, "instances", list.len(), |position| matches(list.at(position)))?;
    let entries: Vec<(usize, ListEntry)> = if ids.is_empty() {
        page.range.map(|position| (position, list.at(position))).collect()
    } else {
        let by_index = |index: usize| match index.checked_sub(list.active) {
            Some(deleted) => (index, ListEntry::Deleted(deleted)),
            None => (index, ListEntry::Active(index)),
        };
        indexes(account_region, Kind::Instance, &ids, list.len())?.into_iter().map(by_index).collect()
    };
    let entries: Vec<(usize, ListEntry)> = entries.into_iter().filter(|(_, entry)| matches(*entry)).collect();
    let next = page.next.filter(|_| ids.is_empty());
    let content = format!(
        "<reservationSet>{}</reservationSet>{}",
        reservations(account_region, &entries),
        optional("nextToken", next.as_deref())
    );
    Ok(Reply { body: document("DescribeInstances", &content), items: entries.len() })
}

/// Renders adjacent instances as one reservation. A reservation can be split between two pages, as in AWS.
fn reservations(account_region: &AccountRegion<'_>, entries: &[(usize, ListEntry)]) -> String {
    let size = account_region.estate.traps.reservation_size.max(1);
    let mut out = String::new();
    for group in entries.chunk_by(|(a, _), (b, _)| a / size == b / size) {
        let number = group.first().map_or(0, |(position, _)| position / size);
        let account = escape(&account_region.account.id);
        // Writing to a string cannot fail.
        write!(
            out,
            "<item><reservationId>r-{number:017x}</reservationId><ownerId>{account}</ownerId><groupSet/><instancesSet>"
        )
        .ok();
        group.iter().for_each(|(_, entry)| out.push_str(&instance(account_region, *entry)));
        out.push_str("</instancesSet></item>");
    }
    out
}

fn instance(account_region: &AccountRegion<'_>, entry: ListEntry) -> String {
    let index = entry_index(InterleavedList { active: account_region.count(Kind::Instance), every: 0 }, entry);
    let (code, name) = state(account_region, entry);
    let (id, launched, region) =
        (account_region.id(Kind::Instance, index), account_region.created(index), escape(account_region.region));
    let (kind, tags) = (instance_type(index), tag_set(account_region, Kind::Instance, index));
    format!(
        "<item><instanceId>{id}</instanceId><imageId>ami-00000000000000001</imageId>\
         <instanceState><code>{code}</code><name>{name}</name></instanceState><privateDnsName/><dnsName/><reason/>\
         <amiLaunchIndex>0</amiLaunchIndex><productCodes/><instanceType>{kind}</instanceType>\
         <launchTime>{launched}</launchTime><placement><availabilityZone>{region}a</availabilityZone><groupName/>\
         <tenancy>default</tenancy></placement><monitoring><state>disabled</state></monitoring>\
         <subnetId>subnet-00000000000000001</subnetId><vpcId>vpc-00000000000000001</vpcId>\
         <architecture>x86_64</architecture><rootDeviceType>ebs</rootDeviceType>{INSTANCE}{tags}</item>"
    )
}

fn tag_set(account_region: &AccountRegion<'_>, kind: Kind, index: usize) -> String {
    match account_region.tags(kind, index) {
        tags if tags.is_empty() => String::new(),
        tags => format!("<tagSet>{}</tagSet>", xml_tags(&tags, "item", "key", "value")),
    }
}

fn describe_volumes(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let filters = filters(call);
    check_filters(&filters, &["volume-id"])?;
    let matches =
        |index: usize| filters.iter().all(|(_, ids)| ids.contains(&account_region.id(Kind::Volume, index).as_str()));
    let len = account_region.count(Kind::Volume);
    let ids = call.param_list("VolumeId");
    let page = page(call, &ids, "volumes", len, matches)?;
    let listed: Vec<usize> =
        if ids.is_empty() { page.range.collect() } else { indexes(account_region, Kind::Volume, &ids, len)? };
    let listed: Vec<usize> = listed.into_iter().filter(|index| matches(*index)).collect();
    let volumes: String = listed.iter().map(|index| volume(account_region, *index)).collect();
    let next = page.next.filter(|_| ids.is_empty());
    let content = format!("<volumeSet>{volumes}</volumeSet>{}", optional("nextToken", next.as_deref()));
    Ok(Reply { body: document("DescribeVolumes", &content), items: listed.len() })
}

fn volume(account_region: &AccountRegion<'_>, index: usize) -> String {
    let (id, created, region) =
        (account_region.id(Kind::Volume, index), account_region.created(index), escape(account_region.region));
    let (size, tags) = (volume_size(index), tag_set(account_region, Kind::Volume, index));
    format!(
        "<item><volumeId>{id}</volumeId><size>{size}</size><snapshotId/><availabilityZone>{region}a</availabilityZone>\
         <status>in-use</status><createTime>{created}</createTime>{VOLUME}{tags}\
         <volumeType>gp3</volumeType><encrypted>true</encrypted></item>"
    )
}
