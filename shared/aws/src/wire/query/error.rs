//! Error responses of EC2.

use std::fmt;

use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::error::{ErrorMetadata, metadata::ProvideErrorMetadata};
use aws_smithy_xml::decode::{ScopedDecoder, XmlDecodeError};
use aws_types::request_id::apply_request_id;

use crate::wire::query::xml::{parse_document, read_text};

/// An error with the code and message of EC2, or a response that cannot be read.
#[derive(Debug)]
pub(crate) struct Error {
    // Boxed to keep the `Result` of every call small.
    metadata: Box<ErrorMetadata>,
    unreadable: Option<XmlDecodeError>,
}

impl Error {
    /// Parses the body of a response with an error status.
    pub(crate) fn from_response(headers: &Headers, body: &[u8]) -> Self {
        match parse_document(body, "Response", read_code_and_message) {
            Ok(metadata) => Self { metadata: Box::new(apply_request_id(metadata, headers).build()), unreadable: None },
            Err(reason) => Self::unreadable(headers, reason),
        }
    }

    /// Creates the error for a response that cannot be read.
    pub(crate) fn unreadable(headers: &Headers, reason: XmlDecodeError) -> Self {
        let metadata = apply_request_id(ErrorMetadata::builder(), headers).build();
        Self { metadata: Box::new(metadata), unreadable: Some(reason) }
    }
}

type Builder = aws_smithy_types::error::metadata::Builder;

fn read_code_and_message(response: &mut ScopedDecoder<'_, '_>) -> Result<Builder, XmlDecodeError> {
    let mut metadata = ErrorMetadata::builder();
    while let Some(mut errors) = response.next_tag() {
        if errors.start_el().local() != "Errors" {
            continue;
        }
        while let Some(mut error) = errors.next_tag() {
            while let Some(mut field) = error.next_tag() {
                metadata = match field.start_el().local() {
                    "Code" => metadata.code(read_text(&mut field)?),
                    "Message" => metadata.message(read_text(&mut field)?),
                    _ => metadata,
                };
            }
        }
    }
    Ok(metadata)
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.metadata.code(), &self.unreadable) {
            (Some(code), _) => write!(formatter, "EC2 returned the error {code}"),
            (None, Some(_)) => formatter.write_str("the response cannot be read"),
            (None, None) => formatter.write_str("EC2 returned an error without a code"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.unreadable.as_ref().map(|reason| reason as _)
    }
}

impl ProvideErrorMetadata for Error {
    fn meta(&self) -> &ErrorMetadata {
        &self.metadata
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn parse(body: &str) -> Error {
        Error::from_response(&Headers::new(), body.as_bytes())
    }

    /// An EC2 error response gives its code and its unescaped message, and additional elements are ignored.
    #[test]
    fn error_carries_ec2_code_and_message() {
        let error = parse(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded &amp; more.</Message>
            <Extra><Deep/></Extra></Error></Errors><RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>"#,
        );
        assert_eq!(error.code(), Some("RequestLimitExceeded"));
        assert_eq!(error.message(), Some("Request limit exceeded & more."));
        assert!(error.source().is_none());
    }

    /// The error retains the request ID of the response headers.
    #[test]
    fn error_retains_request_id_header() {
        use aws_types::request_id::RequestId as _;
        let mut headers = Headers::new();
        headers.insert("x-amzn-requestid", "ea966190");
        let error = Error::from_response(
            &headers,
            b"<Response><Errors><Error><Code>AuthFailure</Code></Error></Errors></Response>",
        );
        assert_eq!(error.meta().request_id(), Some("ea966190"));
    }

    /// An error body that is not a complete EC2 error document gives an error without a code, whose source is the parse
    /// error.
    #[test]
    fn non_ec2_error_body_has_no_code() {
        for body in ["", "Bad Gateway", "<html><body>502</body></html>", "<Response><Errors><Error><Code>Auth"] {
            let error = parse(body);
            assert_eq!(error.code(), None, "{body}");
            assert!(error.source().is_some(), "{body}");
        }
    }
}
