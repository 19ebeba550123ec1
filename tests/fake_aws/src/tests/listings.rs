//! Tests of the list operations: page sizes, page tokens, limits and omitted resources.

use serde_json::{Value, json};

use super::{Ask, HOME, count, ecs, estate, start, tagging, text};
use crate::{AccountEstate, Counts, Estate, Traps};

/// Pages of `DescribeInstances` are limited by the number of instances rather than reservations, and terminated
/// instances are excluded only by a state filter.
#[tokio::test]
async fn instance_pages_count_instances() {
    let estate =
        estate(Counts::each(30)).with_traps(Traps { terminated_every: 2, reservation_size: 4, ..Traps::default() });
    let fake = start(estate).await;
    let (_, all) = Ask::form("ec2", "Action=DescribeInstances").send(&fake).await;
    assert_eq!((count(&all, "<instanceId>"), count(&all, "<name>terminated</name>")), (45, 15));
    let filter = "Filter.1.Name=instance-state-name&Filter.1.Value.1=running&Filter.1.Value.2=stopped&MaxResults=7";
    let (mut sizes, mut token) = (Vec::new(), String::new());
    loop {
        let (status, page) = Ask::form("ec2", &format!("Action=DescribeInstances&{filter}{token}")).send(&fake).await;
        assert_eq!(status, 200, "{page}");
        assert_eq!(count(&page, "terminated"), 0);
        sizes.push(count(&page, "<instanceId>"));
        let Some(next) = text(&page, "nextToken") else { break };
        token = format!("&NextToken={next}");
    }
    assert_eq!(sizes, [7, 7, 7, 7, 2]);
}

/// EC2 rejects invalid page sizes, page tokens, instance IDs, filters and parameter combinations with the AWS error
/// codes.
#[tokio::test]
async fn ec2_rejects_invalid_parameters() {
    let fake = start(estate(Counts::each(3))).await;
    for (query, code) in [
        ("DescribeInstances&MaxResults=4", "InvalidParameterValue"),
        ("DescribeInstances&MaxResults=1001", "InvalidParameterValue"),
        ("DescribeVolumes&NextToken=abc", "InvalidNextToken"),
        ("DescribeVolumes&NextToken=%C3%BC%C3%BC%C3%BC", "InvalidNextToken"),
        ("DescribeInstances&InstanceId.1=i-00000000000000999", "InvalidInstanceID.NotFound"),
        ("DescribeInstances&InstanceId.1=web-1", "InvalidInstanceID.Malformed"),
        ("DescribeVolumes&VolumeId.1=vol-1&MaxResults=5", "InvalidParameterCombination"),
        ("DescribeInstances&Filter.1.Name=tag:x&Filter.1.Value.1=y", "InvalidParameterValue"),
    ] {
        let (status, body) = Ask::form("ec2", &format!("Action={query}")).send(&fake).await;
        assert_eq!((status, text(&body, "Code")), (400, Some(code)), "{query}");
    }
}

/// A request for one instance ID returns that instance, with its tag values escaped as XML.
#[tokio::test]
async fn instance_by_id_has_escaped_tags() {
    let fake = start(estate(Counts::each(3))).await;
    let arn = fake.estate().resources().next().unwrap().arn;
    let id = arn.rsplit('/').next().unwrap();
    let (_, body) =
        Ask::form("ec2", &format!("Action=DescribeInstances&InstanceId.1={id}")).region("eu-west-1").send(&fake).await;
    assert_eq!(text(&body, "value"), Some("a &amp; &lt;b&gt; &quot;c&quot;"));
    assert_eq!(text(&body, "instanceId"), Some(id));
}

/// RDS pages by marker, includes Neptune instances, and rejects page sizes outside 20 to 100 and the marker of another
/// operation.
#[tokio::test]
async fn rds_uses_markers_and_checks_page_size() {
    let fake = start(estate(Counts::each(45))).await;
    let (_, first) = Ask::form("rds", "Action=DescribeDBInstances&MaxRecords=20").send(&fake).await;
    assert_eq!(count(&first, "<DBInstanceArn>"), 20);
    assert_eq!(count(&first, "<Engine>neptune</Engine>"), 4);
    let marker = text(&first, "Marker").unwrap();
    let rest = format!("Action=DescribeDBInstances&MaxRecords=100&Marker={marker}");
    let (_, rest) = Ask::form("rds", &rest).send(&fake).await;
    assert_eq!((count(&rest, "<DBInstanceArn>"), text(&rest, "Marker")), (25, None));
    let stolen = format!("Action=DescribeDBClusters&Marker={marker}");
    for query in ["Action=DescribeDBClusters&MaxRecords=101", "Action=DescribeDBClusters&MaxRecords=19", &stolen] {
        let (status, body) = Ask::form("rds", query).send(&fake).await;
        assert_eq!((status, text(&body, "Code")), (400, Some("InvalidParameterValue")), "{query}");
    }
}

/// `ListBuckets` returns the region of buckets only when the request has a parameter. It pages by continuation token
/// and rejects invalid parameters.
#[tokio::test]
async fn bucket_region_requires_list_parameter() {
    let fake = start(estate(Counts::each(6))).await;
    let (_, bare) = Ask::get("s3", "/?x-id=ListBuckets").send(&fake).await;
    assert_eq!((count(&bare, "<Name>"), count(&bare, "<BucketRegion>")), (12, 0));
    let (_, page) = Ask::get("s3", "/?max-buckets=10").send(&fake).await;
    assert_eq!((count(&page, "<Name>"), count(&page, "<BucketRegion>")), (10, 10));
    let token = text(&page, "ContinuationToken").unwrap();
    let (_, rest) = Ask::get("s3", &format!("/?max-buckets=10&continuation-token={token}")).send(&fake).await;
    assert_eq!((count(&rest, "<Name>"), text(&rest, "ContinuationToken")), (2, None));
    let (_, here) = Ask::get("s3", "/?bucket-region=us-east-1").send(&fake).await;
    assert_eq!(count(&here, "<Name>"), 6);
    for query in ["bucket-region=eu-west-1", "max-buckets=0", "max-buckets=10001", "continuation-token=x"] {
        let (status, body) = Ask::get("s3", &format!("/?{query}")).send(&fake).await;
        assert_eq!((status, text(&body, "Code")), (400, Some("InvalidArgument")), "{query}");
    }
}

/// Bucket tags are served in the region of the bucket. A bucket without tags, an unknown bucket and a wrong region give
/// the S3 error codes.
#[tokio::test]
async fn bucket_tagging_errors_match_s3() {
    let fake = start(estate(Counts::each(3))).await;
    let name = |n: usize, region: &str| format!("/{region}-{HOME}-000000{n}?tagging");
    let (status, tagged) = Ask::get("s3", &name(0, "us-east-1")).send(&fake).await;
    assert_eq!((status, text(&tagged, "Key")), (200, Some("Owner")));
    for (path, region, status, code) in [
        (name(1, "us-east-1"), "us-east-1", 404, "NoSuchTagSet"),
        (name(7, "us-east-1"), "us-east-1", 404, "NoSuchBucket"),
        (name(0, "us-east-1"), "eu-west-1", 301, "PermanentRedirect"),
        (name(0, "eu-west-1"), "us-east-1", 400, "AuthorizationHeaderMalformed"),
    ] {
        let (found, body) = Ask::get("s3", &path).region(region).send(&fake).await;
        assert_eq!((found, text(&body, "Code")), (status, Some(code)), "{path}");
    }
    let raw = Ask::get("s3", &name(0, "eu-west-1")).raw(&fake).await;
    assert!(raw.contains("x-amz-bucket-region: eu-west-1"), "{raw}");
}

/// Lambda returns at most 50 functions per page whatever is requested. Tags of a function version are rejected, and
/// those of an unknown function are not found.
#[tokio::test]
async fn lambda_page_size_is_capped_at_fifty() {
    let fake = start(estate(Counts::each(60))).await;
    let first = Ask::get("lambda", "/2015-03-31/functions?MaxItems=1000").value(&fake).await;
    assert_eq!(first["Functions"].as_array().unwrap().len(), 50);
    let path = format!("/2015-03-31/functions/?Marker={}", first["NextMarker"].as_str().unwrap());
    let rest = Ask::get("lambda", &path).value(&fake).await;
    assert_eq!((rest["Functions"].as_array().unwrap().len(), &rest["NextMarker"]), (10, &Value::Null));
    let arn = first["Functions"][0]["FunctionArn"].as_str().unwrap();
    let tags = format!("/2017-03-31/tags/{}", arn.replace(':', "%3A"));
    assert_eq!(Ask::get("lambda", &tags).value(&fake).await["Tags"], json!({"Owner": "a & <b> \"c\""}));
    for (path, status) in [(format!("{tags}%3A1"), 400), (tags.replace("0000000", "9999999"), 404)] {
        assert_eq!(Ask::get("lambda", &path).send(&fake).await.0, status, "{path}");
    }
}

/// `ListServices` returns ten services by default and up to 100 on request. `DescribeServices` accepts at most ten and
/// reports inactive services with their status.
#[tokio::test]
async fn ecs_services_page_and_report_inactive() {
    let traps = Traps { inactive_every: 4, short_arn_every: 5, ..Traps::default() };
    let fake = start(estate(Counts { clusters: 2, services: 50, ..Counts::default() }).with_traps(traps)).await;
    let clusters = ecs("ListClusters", &json!({})).value(&fake).await;
    assert_eq!(clusters["clusterArns"].as_array().unwrap().len(), 2);
    let listed = ecs("ListServices", &json!({"cluster": clusters["clusterArns"][1]})).value(&fake).await;
    assert_eq!(listed["serviceArns"].as_array().unwrap().len(), 10);
    let all = ecs("ListServices", &json!({"cluster": "cluster-0000001", "maxResults": 100})).value(&fake).await;
    let arns = all["serviceArns"].as_array().unwrap();
    assert_eq!(arns.len(), 25 + 6);
    let (mut active, mut inactive) = (0, 0);
    for ten in arns.chunks(10) {
        let request = json!({"cluster": "cluster-0000001", "services": ten, "include": ["TAGS"]});
        let described = ecs("DescribeServices", &request).value(&fake).await;
        assert_eq!(described["failures"], json!([]));
        for service in described["services"].as_array().unwrap() {
            assert!(ten.contains(&service["serviceArn"]), "{service}");
            *(if service["status"] == "ACTIVE" { &mut active } else { &mut inactive }) += 1;
        }
    }
    assert_eq!((active, inactive), (25, 6));
    let eleven = json!({"cluster": "cluster-0000001", "services": arns[..11]});
    let (status, body) = ecs("DescribeServices", &eleven).send(&fake).await;
    assert!(status == 400 && body.contains("InvalidParameterException"), "{status} {body}");
    let nowhere = ecs("ListServices", &json!({"cluster": "nowhere"})).send(&fake).await;
    assert!(nowhere.1.contains("ClusterNotFoundException"), "{nowhere:?}");
}

/// `GetResources` returns every resource that was ever tagged, in pages of at most 100. It accepts up to 100 ARNs, but
/// not together with a page size.
#[tokio::test]
async fn get_resources_lists_ever_tagged_resources() {
    let fake = start(estate(Counts::each(60))).await;
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let page = tagging(&json!({"PaginationToken": token})).value(&fake).await;
        let mappings = page["ResourceTagMappingList"].as_array().unwrap().clone();
        assert!(mappings.len() <= 100);
        found.extend(mappings);
        token = page["PaginationToken"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(found.len(), 8 * 40, "two of three recipes were ever tagged");
    assert_eq!(found.iter().filter(|mapping| mapping["Tags"] == json!([])).count(), 8 * 20);
    let arns: Vec<&Value> = found.iter().map(|mapping| &mapping["ResourceARN"]).collect();
    let response = tagging(&json!({"ResourceARNList": arns[..100]})).value(&fake).await;
    assert_eq!(response["ResourceTagMappingList"].as_array().unwrap().len(), 100);
    for body in [json!({"ResourceARNList": arns[..101]}), json!({"ResourceARNList": arns[..1], "ResourcesPerPage": 10})]
    {
        assert_eq!(tagging(&body).send(&fake).await.0, 400);
    }
}

/// An assumed role accesses only the resources of its account. Suspended and unknown accounts and the account of the
/// caller have no role to assume.
#[tokio::test]
async fn assumed_role_is_limited_to_its_account() {
    let fake = start(Estate::small()).await;
    let assume = |account: &str| {
        Ask::form(
            "sts",
            &format!("Action=AssumeRole&RoleSessionName=s&RoleArn=arn%3Aaws%3Aiam%3A%3A{account}%3Arole%2FScan"),
        )
    };
    let (_, body) = assume("444455556666").send(&fake).await;
    let key = text(&body, "AccessKeyId").unwrap();
    let (_, identity) = Ask::form("sts", "Action=GetCallerIdentity").key(key).send(&fake).await;
    assert_eq!(text(&identity, "Account"), Some("444455556666"));
    for account in ["777788889999", "123456789012", HOME] {
        assert_eq!(assume(account).send(&fake).await.0, 403, "{account}");
    }
    let (_, body) = Ask::form("ec2", "Action=DescribeVolumes").key(key).region("eu-west-1").send(&fake).await;
    assert_eq!(count(&body, "<volumeId>vol-00001"), 10);
}

/// `ListAccounts` returns pages of 20 to the management account, rejects larger page sizes, and denies access to member
/// accounts.
#[tokio::test]
async fn accounts_listed_only_to_management_account() {
    let mut estate = estate(Counts::default());
    estate.accounts.extend((0..24).map(|n| AccountEstate::new(&format!("2000000000{n:02}"))));
    let fake = start(estate).await;
    let list = |body: &Value| Ask::json("organizations", "AWSOrganizationsV20161128.ListAccounts", body);
    let first = list(&json!({})).value(&fake).await;
    assert_eq!(first["Accounts"].as_array().unwrap().len(), 20);
    let rest = list(&json!({"NextToken": first["NextToken"]})).value(&fake).await;
    assert_eq!((rest["Accounts"].as_array().unwrap().len(), rest.get("NextToken")), (5, None));
    assert_eq!(list(&json!({"MaxResults": 21})).send(&fake).await.0, 400);
    let member = list(&json!({})).key("ASIAFAKE200000000001").send(&fake).await;
    assert!(member.1.contains("AccessDeniedException"), "{member:?}");
}

/// `DescribeRegions` lists regions that are not opted in only on request, and calls in such a region fail with the
/// error code of the service.
#[tokio::test]
async fn opt_in_regions_reject_calls() {
    let fake = start(Estate::small()).await;
    let (_, enabled) = Ask::form("ec2", "Action=DescribeRegions").send(&fake).await;
    let (_, all) = Ask::form("ec2", "Action=DescribeRegions&AllRegions=true").send(&fake).await;
    assert_eq!((count(&enabled, "<regionName>"), count(&all, "<regionName>")), (3, 4));
    assert_eq!(count(&all, "<optInStatus>not-opted-in</optInStatus>"), 1);
    let (status, body) = Ask::form("ec2", "Action=DescribeVolumes").region("me-south-1").send(&fake).await;
    assert_eq!((status, text(&body, "Code")), (403, Some("OptInRequired")));
    let (_, body) = ecs("ListClusters", &json!({})).region("me-south-1").send(&fake).await;
    assert!(body.contains("UnrecognizedClientException"), "{body}");
}
