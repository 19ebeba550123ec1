//! RDS: DB instances and clusters, including those of Neptune and DocumentDB. Query protocol.

use crate::{
    account_region::{AccountRegion, Kind},
    errors::{self, ApiError},
    pagination::Paging,
    prices::instance_class,
    protocol::{Call, Outcome, Reply, escape, optional, xml_tags},
    response_details::DB_INSTANCE,
};

const MAX_PAGE_SIZE: usize = 100;

/// The names of one of the two lists in the protocol.
struct List {
    kind: Kind,
    operation: &'static str,
    plural: &'static str,
    element: &'static str,
    not_found: &'static str,
    filter: &'static str,
}

const INSTANCES: List = List {
    kind: Kind::DbInstance,
    operation: "DescribeDBInstances",
    plural: "DBInstances",
    element: "DBInstance",
    not_found: "DBInstanceNotFound",
    filter: "db-instance-id",
};

const CLUSTERS: List = List {
    kind: Kind::DbCluster,
    operation: "DescribeDBClusters",
    plural: "DBClusters",
    element: "DBCluster",
    not_found: "DBClusterNotFoundFault",
    filter: "db-cluster-id",
};

/// Handles a call of this service.
pub(crate) fn handle(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    match call.operation.as_str() {
        "DescribeDBInstances" => describe(account_region, call, &INSTANCES),
        "DescribeDBClusters" => describe(account_region, call, &CLUSTERS),
        _ => Err(ApiError::unsupported(call)),
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterValue", message)
}

fn describe(account_region: &AccountRegion<'_>, call: &Call, list: &List) -> Outcome {
    let size = call.number("MaxRecords").map_err(invalid)?.unwrap_or(MAX_PAGE_SIZE);
    if !(20..=MAX_PAGE_SIZE).contains(&size) {
        return Err(invalid(format!("Invalid value {size} for MaxRecords. Must be between 20 and 100")));
    }
    let (indexes, next) = selection(account_region, call, list, size)?;
    let items = indexes.len();
    let (operation, plural) = (list.operation, list.plural);
    let databases: String = indexes.into_iter().map(|index| database(account_region, list, index)).collect();
    let body = format!(
        "<{operation}Response xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\"><{operation}Result>\
         <{plural}>{databases}</{plural}>{}</{operation}Result><ResponseMetadata><RequestId>{}</RequestId>\
         </ResponseMetadata></{operation}Response>",
        optional("Marker", next.as_deref()),
        errors::REQUEST_ID
    );
    Ok(Reply { body, items })
}

/// Returns the databases with the requested identifiers or ARNs, or a page of all databases.
fn selection(
    account_region: &AccountRegion<'_>,
    call: &Call,
    list: &List,
    size: usize,
) -> Result<(Vec<usize>, Option<String>), ApiError> {
    let len = account_region.count(list.kind);
    if let Some(id) = call.param(&format!("{}Identifier", list.element)) {
        let by_arn = account_region.find_arn(id).filter(|(kind, _)| *kind == list.kind).map(|(_, index)| index);
        let found = by_arn.or_else(|| account_region.find_id(list.kind, id)).filter(|index| *index < len);
        let missing = || ApiError::new(404, list.not_found, format!("{} {id} not found.", list.element));
        return found.map(|index| (vec![index], None)).ok_or_else(missing);
    }
    if let Some(ids) = filtered(call, list)? {
        let by_arn =
            |id: &str| account_region.find_arn(id).filter(|(kind, _)| *kind == list.kind).map(|(_, index)| index);
        let index =
            |id: &&str| by_arn(id).or_else(|| account_region.find_id(list.kind, id)).filter(|index| *index < len);
        // Unlike a request for one identifier, a filter ignores identifiers that do not exist.
        return Ok((ids.iter().filter_map(index).collect(), None));
    }
    let scope = call.scope(list.plural);
    let paging = Paging { scope: &scope, token: call.param("Marker"), size, effect: call.effect.as_ref() };
    let page = paging.page(len).ok_or_else(|| invalid("Invalid or expired value for Marker."))?;
    Ok((page.range.collect(), page.next))
}

/// Returns the identifiers in the filter. `None` if there is no filter.
fn filtered<'c>(call: &'c Call, list: &List) -> Result<Option<Vec<&'c str>>, ApiError> {
    let Some(name) = call.param("Filters.Filter.1.Name") else { return Ok(None) };
    if name != list.filter || call.param("Filters.Filter.2.Name").is_some() {
        return Err(invalid(format!("Unrecognized filter name: {name}")));
    }
    let ids = call.param_list("Filters.Filter.1.Values.Value");
    if ids.is_empty() {
        return Err(invalid("The filter values must not be empty."));
    }
    Ok(Some(ids))
}

fn database(account_region: &AccountRegion<'_>, list: &List, index: usize) -> String {
    let element = list.element;
    let (id, arn) = (account_region.id(list.kind, index), escape(&account_region.arn(list.kind, index)));
    let (engine, created) = (escape(account_region.engine(list.kind, index)), account_region.created(index));
    let tags = xml_tags(&account_region.tags(list.kind, index), "Tag", "Key", "Value");
    let details = match list.kind {
        Kind::DbCluster => format!("<Status>available</Status><ClusterCreateTime>{created}</ClusterCreateTime>"),
        _ => format!(
            "<DBInstanceStatus>available</DBInstanceStatus><InstanceCreateTime>{created}</InstanceCreateTime>\
             <DBInstanceClass>{}</DBInstanceClass>{DB_INSTANCE}",
            instance_class(index)
        ),
    };
    format!(
        "<{element}><{element}Identifier>{id}</{element}Identifier><{element}Arn>{arn}</{element}Arn>\
         <Engine>{engine}</Engine>{details}<TagList>{tags}</TagList></{element}>"
    )
}
