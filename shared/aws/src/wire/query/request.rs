//! Requests of the EC2 query protocol.

use aws_smithy_query::QueryWriter;

/// The version of the EC2 API.
const API_VERSION: &str = "2016-11-15";

/// The parameters of a request, in the order in which they were set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    parameters: Vec<(String, String)>,
    filters: usize,
}

impl Request {
    /// Includes the regions that are not enabled in the account.
    pub(crate) fn all_regions(self) -> Self {
        self.with("AllRegions", "true")
    }

    /// Adds a filter: only items with one of these values are returned.
    pub(crate) fn filter(mut self, name: &str, values: &[&str]) -> Self {
        self.filters += 1;
        let filter = format!("Filter.{}", self.filters);
        let request = self.with(&format!("{filter}.Name"), name);
        let values = values.iter().zip(1..);
        values
            .fold(request, |request, (value, index): (_, u32)| request.with(&format!("{filter}.Value.{index}"), value))
    }

    /// Includes resources that AWS services manage in the account.
    pub(crate) fn include_managed_resources(self) -> Self {
        self.with("IncludeManagedResources", "true")
    }

    /// Sets the maximum number of items of a page.
    pub(crate) fn max_results(self, count: u32) -> Self {
        self.with("MaxResults", &count.to_string())
    }

    /// Requests the page of this token, or the first page if there is none.
    pub(crate) fn next_token(self, token: Option<String>) -> Self {
        match token {
            Some(token) => self.with("NextToken", &token),
            None => self,
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Encodes the request as the form data of a POST request.
    pub(crate) fn to_form(&self, action: &str) -> String {
        let mut form = String::new();
        let mut writer = QueryWriter::new(&mut form, action, API_VERSION);
        for (name, value) in &self.parameters {
            writer.prefix(name).string(value);
        }
        writer.finish();
        form
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Filters, page size, page token and flags are encoded as EC2 query parameters with percent-encoding.
    #[test]
    fn parameters_are_form_encoded() {
        let request = Request::default()
            .filter("instance-state-name", &["pending", "stopped"])
            .filter("tag:Cost Center", &["a&b=c/é+ü"])
            .max_results(1000)
            .include_managed_resources()
            .next_token(Some("eyJ2==/+".to_owned()));
        assert_eq!(
            request.to_form("DescribeInstances"),
            "Action=DescribeInstances&Version=2016-11-15\
             &Filter.1.Name=instance-state-name&Filter.1.Value.1=pending&Filter.1.Value.2=stopped\
             &Filter.2.Name=tag%3ACost%20Center&Filter.2.Value.1=a%26b%3Dc%2F%C3%A9%2B%C3%BC\
             &MaxResults=1000&IncludeManagedResources=true&NextToken=eyJ2%3D%3D%2F%2B"
        );
    }

    /// A request without parameters has only the action and the API version.
    #[test]
    fn bare_request_has_action_and_version() {
        let form = Request::default().next_token(None).to_form("DescribeRegions");
        assert_eq!(form, "Action=DescribeRegions&Version=2016-11-15");
        let all = Request::default().all_regions().to_form("DescribeRegions");
        assert_eq!(all, "Action=DescribeRegions&Version=2016-11-15&AllRegions=true");
    }
}
