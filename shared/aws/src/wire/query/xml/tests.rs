use aws_smithy_types::DateTime;

use crate::wire::query::xml::{Instance, Page, Region, Tag, Volume};

fn at(seconds: i64) -> Option<DateTime> {
    Some(DateTime::from_secs(seconds))
}

fn tag(key: &str, value: Option<&str>) -> Tag {
    Tag { key: Some(key.to_owned()), value: value.map(str::to_owned) }
}

const INSTANCES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
    <requestId>8f7724cf-496f-496e-8fe3-example</requestId>
    <reservationSet>
        <item>
            <reservationId>r-1234567890abcdef0</reservationId>
            <ownerId>123456789012</ownerId>
            <groupSet/>
            <instancesSet>
                <item>
                    <instanceId>i-1234567890abcdef0</instanceId>
                    <instanceState><code>16</code><name>running</name></instanceState>
                    <launchTime>2024-01-02T03:04:05.000Z</launchTime>
                    <usageOperationUpdateTime>2023-01-01T00:00:00.500Z</usageOperationUpdateTime>
                    <blockDeviceMapping>
                        <item>
                            <deviceName>/dev/xvda</deviceName>
                            <ebs>
                                <volumeId>vol-1</volumeId>
                                <attachTime>2022-01-01T00:00:01.000Z</attachTime>
                                <operator><managed>false</managed></operator>
                            </ebs>
                        </item>
                        <item><deviceName>/dev/sdb</deviceName></item>
                    </blockDeviceMapping>
                    <tagSet>
                        <item><key>Owner</key><value>R&amp;D &lt;team&gt;</value></item>
                        <item><key>Notes</key><value>a&#10;b&#x9;c&quot;&apos;</value></item>
                        <item><key>Blank</key><value> </value></item>
                        <item><key>Empty</key><value/></item>
                        <item><key>None</key></item>
                        <item><key>größe</key><value>日本</value></item>
                    </tagSet>
                    <networkInterfaceSet>
                        <item>
                            <networkInterfaceId>eni-1</networkInterfaceId>
                            <tagSet><item><key>NotTheInstances</key><value>x</value></item></tagSet>
                            <attachment>
                                <attachmentId>eni-attach-1</attachmentId>
                                <attachTime>2022-01-01T00:00:00.000Z</attachTime>
                            </attachment>
                            <association><publicIp>203.0.113.5</publicIp></association>
                        </item>
                    </networkInterfaceSet>
                    <vpcId>vpc-1</vpcId>
                    <subnetId>subnet-1</subnetId>
                    <groupSet>
                        <item><groupId>sg-2</groupId><groupName>web</groupName></item>
                        <item><groupId>sg-1</groupId><groupName>default</groupName></item>
                    </groupSet>
                    <iamInstanceProfile>
                        <arn>arn:aws:iam::111122223333:instance-profile/web</arn><id>AIPA</id>
                    </iamInstanceProfile>
                    <instanceType>m5.large</instanceType>
                    <instanceState><code>80</code><name>stopped</name></instanceState>
                    <somethingNew><tagSet><item><key>Deep</key></item></tagSet></somethingNew>
                </item>
                <item><instanceId>i-2</instanceId><tagSet/></item>
            </instancesSet>
        </item>
        <item>
            <reservationId>r-2</reservationId>
            <instancesSet><item><instanceId>i-3</instanceId></item></instancesSet>
        </item>
    </reservationSet>
    <nextToken>eyJ2IjoiMiIs+/==</nextToken>
</DescribeInstancesResponse>
"#;

fn instances() -> Page<Instance> {
    let first = Instance {
        id: Some("i-1234567890abcdef0".to_owned()),
        instance_type: Some("m5.large".to_owned()),
        state: Some("stopped".to_owned()),
        launched: at(1_704_164_645),
        usage_operation_updated: Some(DateTime::from_millis(1_672_531_200_500)),
        attached: vec![DateTime::from_secs(1_640_995_201), DateTime::from_secs(1_640_995_200)],
        vpc: Some("vpc-1".to_owned()),
        subnet: Some("subnet-1".to_owned()),
        security_groups: vec!["sg-2".to_owned(), "sg-1".to_owned()],
        profile: Some("arn:aws:iam::111122223333:instance-profile/web".to_owned()),
        tags: vec![
            tag("Owner", Some("R&D <team>")),
            tag("Notes", Some("a\nb\tc\"'")),
            tag("Blank", Some(" ")),
            tag("Empty", Some("")),
            tag("None", None),
            tag("größe", Some("日本")),
        ],
    };
    let bare = |id: &str| Instance { id: Some(id.to_owned()), ..Instance::default() };
    Page { items: vec![first, bare("i-2"), bare("i-3")], next_token: Some("eyJ2IjoiMiIs+/==".to_owned()) }
}

/// A `DescribeInstances` response gives the instances of all reservations with their times, network details, tags and
/// the next page token.
#[test]
fn instances_of_all_reservations_are_parsed() {
    assert_eq!(Page::parse(INSTANCES.as_bytes()).unwrap(), instances());
}

/// A response without line breaks and indentation parses to the same result.
#[test]
fn response_without_line_breaks_is_equal() {
    let packed: String = INSTANCES.lines().map(str::trim).collect();
    assert_eq!(Page::parse(packed.as_bytes()).unwrap(), instances());
}

/// A volume is parsed with its state, type, size, creation time, attached instances and tags. An empty item gives an
/// empty volume.
#[test]
fn volumes_are_parsed_with_state_and_size() {
    let body = r#"<DescribeVolumesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
        <requestId>59dbff89</requestId>
        <volumeSet>
            <item>
                <volumeId>vol-1</volumeId><size>80</size><snapshotId/><status>in-use</status>
                <volumeType>gp3</volumeType><createTime>2023-11-14T22:13:20.000Z</createTime>
                <attachmentSet><item><volumeId>vol-other</volumeId><instanceId>i-1</instanceId><status>attached</status>
                    <attachTime>2020-01-01T00:00:00.000Z</attachTime></item></attachmentSet>
                <tagSet><item><key>Owner</key><value>a@b</value></item></tagSet>
            </item>
            <item/>
        </volumeSet>
    </DescribeVolumesResponse>"#;
    let read = Volume {
        id: Some("vol-1".to_owned()),
        state: Some("in-use".to_owned()),
        volume_type: Some("gp3".to_owned()),
        size: Some(80),
        created: at(1_700_000_000),
        instances: vec!["i-1".to_owned()],
        tags: vec![tag("Owner", Some("a@b"))],
    };
    let page = Page { items: vec![read, Volume::default()], next_token: None };
    assert_eq!(Page::parse(body.as_bytes()).unwrap(), page);
}

/// A region is parsed with its name and its opt-in status.
#[test]
fn regions_are_parsed_with_opt_in_status() {
    let body = "<DescribeRegionsResponse><requestId>59dbff89</requestId><regionInfo><item>\
        <regionEndpoint>ec2.ap-east-1.amazonaws.com</regionEndpoint><regionName>ap-east-1</regionName>\
        <optInStatus>not-opted-in</optInStatus></item></regionInfo></DescribeRegionsResponse>";
    let region = Region { name: Some("ap-east-1".to_owned()), opt_in_status: Some("not-opted-in".to_owned()) };
    assert_eq!(Page::parse(body.as_bytes()).unwrap(), Page { items: vec![region], next_token: None });
}

/// An empty or absent result set, in any XML notation, gives a page without items and without a page token.
#[test]
fn empty_set_is_empty_page() {
    for set in ["<volumeSet/>", "<volumeSet></volumeSet>", "<volumeSet>\n</volumeSet>", ""] {
        let body = format!("<DescribeVolumesResponse>{set}</DescribeVolumesResponse>");
        let page: Page<Volume> = Page::parse(body.as_bytes()).unwrap();
        assert_eq!(page, Page { items: Vec::new(), next_token: None }, "{set}");
    }
    let body = "<DescribeVolumesResponse/>";
    assert!(Page::<Volume>::parse(body.as_bytes()).unwrap().items.is_empty());
}

/// A response truncated at any byte is an error, and the complete response is not.
#[test]
fn truncation_at_any_byte_is_error() {
    let complete = INSTANCES.trim_end().as_bytes();
    for end in 0..complete.len() {
        assert!(Page::<Instance>::parse(&complete[..end]).is_err(), "{end} of {} bytes", complete.len());
    }
    assert!(Page::<Instance>::parse(complete).is_ok());
}

/// A response with mismatched or surplus closing elements is an error.
#[test]
fn mismatched_elements_are_error() {
    for set in [
        "<volumeSet></reservationSet>",
        "<volumeSet><item></volumeSet></item>",
        "<volumeSet><item><volumeId>vol-1</status></item></volumeSet>",
        "<volumeSet><item></item></volumeSet></volumeSet>",
    ] {
        let body = format!("<DescribeVolumesResponse>{set}</DescribeVolumesResponse>");
        assert!(Page::<Volume>::parse(body.as_bytes()).is_err(), "{set}");
    }
}

/// A document other than the expected response is an error that names the expected and the found root element.
#[test]
fn unexpected_document_error_names_element() {
    let parse = |body: &[u8]| Page::<Volume>::parse(body).unwrap_err();
    for body in ["", "   ", "OK", "{}", r#"{"volumeSet":[]}"#, "<?xml version=\"1.0\"?>", "<!-- end -->"] {
        parse(body.as_bytes());
    }
    parse(b"<DescribeVolumesResponse>\xff</DescribeVolumesResponse>");
    let html = parse(b"<!DOCTYPE html><html><body>Please log in</body></html>").to_string();
    assert!(html.contains("`DescribeVolumesResponse`") && html.contains("`html`"), "{html}");
    parse(b"<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>");
    parse(b"<Response><Errors><Error><Code>AuthFailure</Code></Error></Errors></Response>");
}

/// An invalid timestamp or an unknown XML entity is an error. Predefined entities are decoded.
#[test]
fn invalid_time_or_entity_is_error() {
    let parse = |field: &str| {
        let set = format!("<volumeSet><item>{field}</item></volumeSet>");
        Page::<Volume>::parse(format!("<DescribeVolumesResponse>{set}</DescribeVolumesResponse>").as_bytes())
    };
    assert!(parse("<createTime>yesterday</createTime>").unwrap_err().to_string().contains("`yesterday`"));
    assert!(parse("<volumeId>vol&nope;</volumeId>").is_err());
    assert!(parse("<volumeId>vol&amp;</volumeId>").is_ok());
}
