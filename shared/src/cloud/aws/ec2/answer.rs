//! What EC2 answers, read from XML: of each item the fields that are used, and no others.

use std::fmt;

use aws_smithy_types::{DateTime, date_time::Format};
use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Page<T> {
    pub(in super::super) items: Vec<T>,
    pub(in super::super) next_token: Option<String>,
}

/// An instance.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Instance {
    pub(in super::super) id: Option<String>,
    pub(in super::super) instance_type: Option<String>,
    pub(in super::super) state: Option<String>,
    /// When it was last started.
    pub(in super::super) launched: Option<DateTime>,
    /// When what AWS bills for its operating system last changed.
    pub(in super::super) usage_operation_updated: Option<DateTime>,
    /// When its network interfaces and volumes were attached.
    pub(in super::super) attached: Vec<DateTime>,
    pub(in super::super) vpc: Option<String>,
    pub(in super::super) subnet: Option<String>,
    pub(in super::super) security_groups: Vec<String>,
    /// The ARN of its instance profile.
    pub(in super::super) profile: Option<String>,
    pub(in super::super) tags: Vec<Tag>,
}

/// A region, as one account sees it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Region {
    pub(in super::super) name: Option<String>,
    pub(in super::super) opt_in_status: Option<String>,
}

/// A volume.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Volume {
    pub(in super::super) id: Option<String>,
    pub(in super::super) state: Option<String>,
    /// Such as `gp3`.
    pub(in super::super) volume_type: Option<String>,
    /// In GiB.
    pub(in super::super) size: Option<u32>,
    pub(in super::super) created: Option<DateTime>,
    /// The instances that it is attached to, one for nearly all.
    pub(in super::super) instances: Vec<String>,
    pub(in super::super) tags: Vec<Tag>,
}

/// A tag. AWS leaves out the value when it is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Tag {
    pub(in super::super) key: Option<String>,
    pub(in super::super) value: Option<String>,
}

/// What is listed by a call of its own.
pub(in super::super) trait Item: Sized + fmt::Debug + Send + Sync + 'static {
    /// The call.
    const ACTION: &'static str;
    /// The element of the answer that holds the list.
    const LIST: &'static str;
    /// Reads one element of the list.
    fn read(element: &mut Element<'_, '_>, items: &mut Vec<Self>) -> Read<()>;
}

type Element<'input, 'document> = ScopedDecoder<'input, 'document>;
type Read<T> = Result<T, XmlDecodeError>;

impl<T: Item> Page<T> {
    /// Reads the whole answer to [`Item::ACTION`].
    ///
    /// # Errors
    /// It is not XML, not that answer, or cut off.
    pub(super) fn parse(body: &[u8]) -> Read<Self> {
        document(body, &format!("{}Response", T::ACTION), |root| {
            let mut page = Self { items: Vec::new(), next_token: None };
            while let Some(mut field) = root.next_tag() {
                match field.start_el().local() {
                    "nextToken" => page.next_token = Some(text(&mut field)?),
                    name if name == T::LIST => list(&mut field, |item| T::read(item, &mut page.items))?,
                    _ => {}
                }
            }
            Ok(page)
        })
    }
}

impl Item for Instance {
    const ACTION: &'static str = "DescribeInstances";
    const LIST: &'static str = "reservationSet";

    fn read(reservation: &mut Element<'_, '_>, items: &mut Vec<Self>) -> Read<()> {
        while let Some(mut field) = reservation.next_tag() {
            if field.start_el().local() == "instancesSet" {
                list(&mut field, |item| {
                    items.push(instance(item)?);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

fn instance(element: &mut Element<'_, '_>) -> Read<Instance> {
    let mut instance = Instance::default();
    while let Some(mut field) = element.next_tag() {
        match field.start_el().local() {
            "instanceId" => instance.id = Some(text(&mut field)?),
            "instanceType" => instance.instance_type = Some(text(&mut field)?),
            "instanceState" => instance.state = within(&mut field, "name")?,
            "launchTime" => instance.launched = Some(time(&mut field)?),
            "usageOperationUpdateTime" => instance.usage_operation_updated = Some(time(&mut field)?),
            "networkInterfaceSet" => attach_times(&mut field, "attachment", &mut instance.attached)?,
            "blockDeviceMapping" => attach_times(&mut field, "ebs", &mut instance.attached)?,
            "vpcId" => instance.vpc = Some(text(&mut field)?),
            "subnetId" => instance.subnet = Some(text(&mut field)?),
            "groupSet" => instance.security_groups = texts(&mut field, "groupId")?,
            "iamInstanceProfile" => instance.profile = within(&mut field, "arn")?,
            "tagSet" => instance.tags = tags(&mut field)?,
            _ => {}
        }
    }
    Ok(instance)
}

/// The text of an element's field.
fn within(element: &mut Element<'_, '_>, name: &str) -> Read<Option<String>> {
    let mut found = None;
    while let Some(mut field) = element.next_tag() {
        if field.start_el().local() == name {
            found = Some(text(&mut field)?);
        }
    }
    Ok(found)
}

/// The same of each item of a list.
fn texts(element: &mut Element<'_, '_>, name: &str) -> Read<Vec<String>> {
    let mut found = Vec::new();
    list(element, |item| {
        found.extend(within(item, name)?);
        Ok(())
    })?;
    Ok(found)
}

/// Of a list whose items each hold an element of that name, which holds the time.
fn attach_times(element: &mut Element<'_, '_>, holder: &str, times: &mut Vec<DateTime>) -> Read<()> {
    list(element, |item| {
        while let Some(mut held) = item.next_tag() {
            if held.start_el().local() == holder {
                attach_time(&mut held, times)?;
            }
        }
        Ok(())
    })
}

fn attach_time(element: &mut Element<'_, '_>, times: &mut Vec<DateTime>) -> Read<()> {
    while let Some(mut field) = element.next_tag() {
        if field.start_el().local() == "attachTime" {
            times.push(time(&mut field)?);
        }
    }
    Ok(())
}

impl Item for Region {
    const ACTION: &'static str = "DescribeRegions";
    const LIST: &'static str = "regionInfo";

    fn read(element: &mut Element<'_, '_>, items: &mut Vec<Self>) -> Read<()> {
        let mut region = Self::default();
        while let Some(mut field) = element.next_tag() {
            match field.start_el().local() {
                "regionName" => region.name = Some(text(&mut field)?),
                "optInStatus" => region.opt_in_status = Some(text(&mut field)?),
                _ => {}
            }
        }
        items.push(region);
        Ok(())
    }
}

impl Item for Volume {
    const ACTION: &'static str = "DescribeVolumes";
    const LIST: &'static str = "volumeSet";

    fn read(element: &mut Element<'_, '_>, items: &mut Vec<Self>) -> Read<()> {
        let mut volume = Self::default();
        while let Some(mut field) = element.next_tag() {
            match field.start_el().local() {
                "volumeId" => volume.id = Some(text(&mut field)?),
                "status" => volume.state = Some(text(&mut field)?),
                "volumeType" => volume.volume_type = Some(text(&mut field)?),
                // It decides a share of money, and no resource is lost for it.
                "size" => volume.size = text(&mut field)?.parse().ok(),
                "createTime" => volume.created = Some(time(&mut field)?),
                "attachmentSet" => volume.instances = texts(&mut field, "instanceId")?,
                "tagSet" => volume.tags = tags(&mut field)?,
                _ => {}
            }
        }
        items.push(volume);
        Ok(())
    }
}

fn tags(element: &mut Element<'_, '_>) -> Read<Vec<Tag>> {
    let mut tags = Vec::new();
    list(element, |item| {
        let mut tag = Tag::default();
        while let Some(mut field) = item.next_tag() {
            match field.start_el().local() {
                "key" => tag.key = Some(text(&mut field)?),
                "value" => tag.value = Some(text(&mut field)?),
                _ => {}
            }
        }
        tags.push(tag);
        Ok(())
    })?;
    Ok(tags)
}

/// Reads the items of a list.
fn list<'input>(
    element: &mut Element<'input, '_>,
    mut read: impl FnMut(&mut Element<'input, '_>) -> Read<()>,
) -> Read<()> {
    while let Some(mut item) = element.next_tag() {
        if item.start_el().local() == "item" {
            read(&mut item)?;
        }
    }
    Ok(())
}

/// The text of an element, its escapes resolved.
pub(super) fn text(element: &mut Element<'_, '_>) -> Read<String> {
    try_data(element).map(|text| text.into_owned())
}

fn time(element: &mut Element<'_, '_>) -> Read<DateTime> {
    let text = try_data(element)?;
    DateTime::from_str(&text, Format::DateTimeWithOffset)
        .map_err(|error| XmlDecodeError::custom(format!("`{text}` is no time: {error}")))
}

/// Reads a whole document.
///
/// # Errors
/// It is not XML, its root element has another name, it ends before its root element does, or `read` fails.
pub(super) fn document<T>(body: &[u8], root: &str, read: impl FnOnce(&mut Element<'_, '_>) -> Read<T>) -> Read<T> {
    // The decoder takes the end of its input for the end of every element that is open. A comment behind the root
    // element tells: one that was never closed swallows it.
    const MARK: &str = "<!-- end -->";
    let body = std::str::from_utf8(body).map_err(XmlDecodeError::unhandled)?;
    let marked = [body, MARK].concat();
    let mut document = Document::new(&marked);
    let mut element = document.root_element()?;
    if element.start_el().local() != root {
        let found = element.start_el().local().to_owned();
        return Err(XmlDecodeError::custom(format!("`{root}` was expected, and `{found}` found")));
    }
    let value = read(&mut element)?;
    drop(element);
    match document.next() {
        Some(token) => token.map(|_| value),
        None => Err(XmlDecodeError::custom(format!("the answer ends before its `{root}` does"))),
    }
}

#[cfg(test)]
mod tests;
