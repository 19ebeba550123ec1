//! The XML responses of EC2. Only the fields that are used are read.

#[cfg(test)]
mod tests;

use std::fmt;

use aws_smithy_types::{DateTime, date_time::Format};
use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_token: Option<String>,
}

/// An EC2 instance.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Instance {
    pub(crate) id: Option<String>,
    pub(crate) instance_type: Option<String>,
    pub(crate) state: Option<String>,
    /// The time of the last start.
    pub(crate) launched: Option<DateTime>,
    /// The time of the last change of the usage operation, which decides how the operating system is billed.
    pub(crate) usage_operation_updated: Option<DateTime>,
    /// The attachment times of the network interfaces and volumes.
    pub(crate) attached: Vec<DateTime>,
    pub(crate) vpc: Option<String>,
    pub(crate) subnet: Option<String>,
    pub(crate) security_groups: Vec<String>,
    /// The ARN of the instance profile.
    pub(crate) profile: Option<String>,
    pub(crate) tags: Vec<Tag>,
}

/// A region with its status in one account.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Region {
    pub(crate) name: Option<String>,
    pub(crate) opt_in_status: Option<String>,
}

/// An EBS volume.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Volume {
    pub(crate) id: Option<String>,
    pub(crate) state: Option<String>,
    /// Such as `gp3`.
    pub(crate) volume_type: Option<String>,
    /// In GiB.
    pub(crate) size: Option<u32>,
    pub(crate) created: Option<DateTime>,
    /// The instances to which the volume is attached. Only Multi-Attach volumes have more than one.
    pub(crate) instances: Vec<String>,
    pub(crate) tags: Vec<Tag>,
}

/// A tag. AWS omits an empty value.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tag {
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
}

/// An item type that one operation lists.
pub(crate) trait Item: Sized + fmt::Debug + Send + Sync + 'static {
    /// The name of the operation.
    const ACTION: &'static str;
    /// The XML element of the response that contains the list.
    const LIST_ELEMENT: &'static str;
    /// Reads one element of the list and adds its items.
    fn read_items(element: &mut Element<'_, '_>, items: &mut Vec<Self>) -> ReadResult<()>;
}

type Element<'input, 'document> = ScopedDecoder<'input, 'document>;

type ReadResult<T> = Result<T, XmlDecodeError>;

impl<T: Item> Page<T> {
    /// Parses the response of the operation [`Item::ACTION`].
    ///
    /// # Errors
    /// The body is not XML, is another document, or is truncated.
    pub(crate) fn parse(body: &[u8]) -> ReadResult<Self> {
        parse_document(body, &format!("{}Response", T::ACTION), |root| {
            let mut page = Self { items: Vec::new(), next_token: None };
            while let Some(mut field) = root.next_tag() {
                match field.start_el().local() {
                    "nextToken" => page.next_token = Some(read_text(&mut field)?),
                    name if name == T::LIST_ELEMENT => {
                        read_list(&mut field, |item| T::read_items(item, &mut page.items))?
                    }
                    _ => {}
                }
            }
            Ok(page)
        })
    }
}

impl Item for Instance {
    const ACTION: &'static str = "DescribeInstances";
    const LIST_ELEMENT: &'static str = "reservationSet";

    fn read_items(reservation: &mut Element<'_, '_>, items: &mut Vec<Self>) -> ReadResult<()> {
        while let Some(mut field) = reservation.next_tag() {
            if field.start_el().local() == "instancesSet" {
                read_list(&mut field, |item| {
                    items.push(read_instance(item)?);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

fn read_instance(element: &mut Element<'_, '_>) -> ReadResult<Instance> {
    let mut instance = Instance::default();
    while let Some(mut field) = element.next_tag() {
        match field.start_el().local() {
            "instanceId" => instance.id = Some(read_text(&mut field)?),
            "instanceType" => instance.instance_type = Some(read_text(&mut field)?),
            "instanceState" => instance.state = read_child_text(&mut field, "name")?,
            "launchTime" => instance.launched = Some(read_time(&mut field)?),
            "usageOperationUpdateTime" => instance.usage_operation_updated = Some(read_time(&mut field)?),
            "networkInterfaceSet" => read_attach_times(&mut field, "attachment", &mut instance.attached)?,
            "blockDeviceMapping" => read_attach_times(&mut field, "ebs", &mut instance.attached)?,
            "vpcId" => instance.vpc = Some(read_text(&mut field)?),
            "subnetId" => instance.subnet = Some(read_text(&mut field)?),
            "groupSet" => instance.security_groups = read_child_texts(&mut field, "groupId")?,
            "iamInstanceProfile" => instance.profile = read_child_text(&mut field, "arn")?,
            "tagSet" => instance.tags = read_tags(&mut field)?,
            _ => {}
        }
    }
    Ok(instance)
}

/// Reads the text of the child element with this name.
fn read_child_text(element: &mut Element<'_, '_>, name: &str) -> ReadResult<Option<String>> {
    let mut found = None;
    while let Some(mut field) = element.next_tag() {
        if field.start_el().local() == name {
            found = Some(read_text(&mut field)?);
        }
    }
    Ok(found)
}

/// Reads the text of the child element with this name in each item of a list.
fn read_child_texts(element: &mut Element<'_, '_>, name: &str) -> ReadResult<Vec<String>> {
    let mut found = Vec::new();
    read_list(element, |item| {
        found.extend(read_child_text(item, name)?);
        Ok(())
    })?;
    Ok(found)
}

/// Reads the attachment times of a list. The element `parent` of each item contains the time.
fn read_attach_times(element: &mut Element<'_, '_>, parent: &str, times: &mut Vec<DateTime>) -> ReadResult<()> {
    read_list(element, |item| {
        while let Some(mut field) = item.next_tag() {
            if field.start_el().local() == parent {
                read_attach_time(&mut field, times)?;
            }
        }
        Ok(())
    })
}

fn read_attach_time(element: &mut Element<'_, '_>, times: &mut Vec<DateTime>) -> ReadResult<()> {
    while let Some(mut field) = element.next_tag() {
        if field.start_el().local() == "attachTime" {
            times.push(read_time(&mut field)?);
        }
    }
    Ok(())
}

impl Item for Region {
    const ACTION: &'static str = "DescribeRegions";
    const LIST_ELEMENT: &'static str = "regionInfo";

    fn read_items(element: &mut Element<'_, '_>, items: &mut Vec<Self>) -> ReadResult<()> {
        let mut region = Self::default();
        while let Some(mut field) = element.next_tag() {
            match field.start_el().local() {
                "regionName" => region.name = Some(read_text(&mut field)?),
                "optInStatus" => region.opt_in_status = Some(read_text(&mut field)?),
                _ => {}
            }
        }
        items.push(region);
        Ok(())
    }
}

impl Item for Volume {
    const ACTION: &'static str = "DescribeVolumes";
    const LIST_ELEMENT: &'static str = "volumeSet";

    fn read_items(element: &mut Element<'_, '_>, items: &mut Vec<Self>) -> ReadResult<()> {
        let mut volume = Self::default();
        while let Some(mut field) = element.next_tag() {
            match field.start_el().local() {
                "volumeId" => volume.id = Some(read_text(&mut field)?),
                "status" => volume.state = Some(read_text(&mut field)?),
                "volumeType" => volume.volume_type = Some(read_text(&mut field)?),
                // The size only decides a share of costs, so a malformed one does not make the page unreadable.
                "size" => volume.size = read_text(&mut field)?.parse().ok(),
                "createTime" => volume.created = Some(read_time(&mut field)?),
                "attachmentSet" => volume.instances = read_child_texts(&mut field, "instanceId")?,
                "tagSet" => volume.tags = read_tags(&mut field)?,
                _ => {}
            }
        }
        items.push(volume);
        Ok(())
    }
}

fn read_tags(element: &mut Element<'_, '_>) -> ReadResult<Vec<Tag>> {
    let mut tags = Vec::new();
    read_list(element, |item| {
        let mut tag = Tag::default();
        while let Some(mut field) = item.next_tag() {
            match field.start_el().local() {
                "key" => tag.key = Some(read_text(&mut field)?),
                "value" => tag.value = Some(read_text(&mut field)?),
                _ => {}
            }
        }
        tags.push(tag);
        Ok(())
    })?;
    Ok(tags)
}

/// Reads the items of a list.
fn read_list<'input>(
    element: &mut Element<'input, '_>,
    mut read_item: impl FnMut(&mut Element<'input, '_>) -> ReadResult<()>,
) -> ReadResult<()> {
    while let Some(mut item) = element.next_tag() {
        if item.start_el().local() == "item" {
            read_item(&mut item)?;
        }
    }
    Ok(())
}

/// Reads the text of an element and resolves its entities.
pub(crate) fn read_text(element: &mut Element<'_, '_>) -> ReadResult<String> {
    try_data(element).map(|text| text.into_owned())
}

fn read_time(element: &mut Element<'_, '_>) -> ReadResult<DateTime> {
    let text = try_data(element)?;
    DateTime::from_str(&text, Format::DateTimeWithOffset)
        .map_err(|error| XmlDecodeError::custom(format!("`{text}` is not a timestamp: {error}")))
}

/// Parses a complete document.
///
/// # Errors
/// The body is not XML, its root element has another name or no end tag, or `read` fails.
pub(crate) fn parse_document<T>(
    body: &[u8],
    root: &str,
    read: impl FnOnce(&mut Element<'_, '_>) -> ReadResult<T>,
) -> ReadResult<T> {
    // The decoder treats the end of its input as the end of every open element. A comment is added after the root element to
    // detect this: if the root element has no end tag, the comment becomes a part of it.
    const END_MARKER: &str = "<!-- end -->";
    let body = std::str::from_utf8(body).map_err(XmlDecodeError::unhandled)?;
    let marked = [body, END_MARKER].concat();
    let mut document = Document::new(&marked);
    let mut element = document.root_element()?;
    if element.start_el().local() != root {
        let found = element.start_el().local().to_owned();
        return Err(XmlDecodeError::custom(format!("expected the root element `{root}`, found `{found}`")));
    }
    let value = read(&mut element)?;
    drop(element);
    match document.next() {
        Some(token) => token.map(|_| value),
        None => Err(XmlDecodeError::custom(format!("the response ends before the end tag of `{root}`"))),
    }
}
