//! What EC2 answers when it refuses.

use std::fmt;

use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::error::{ErrorMetadata, metadata::ProvideErrorMetadata};
use aws_smithy_xml::decode::{ScopedDecoder, XmlDecodeError};
use aws_types::request_id::apply_request_id;

use super::answer::{document, text};

/// A refusal with EC2's code and words, or an answer that cannot be read.
#[derive(Debug)]
pub(in super::super) struct Error {
    metadata: ErrorMetadata,
    unreadable: Option<XmlDecodeError>,
}

impl Error {
    /// The refusal that an answer with an error status holds.
    pub(super) fn refusal(headers: &Headers, body: &[u8]) -> Self {
        match document(body, "Response", code_and_message) {
            Ok(metadata) => Self { metadata: apply_request_id(metadata, headers).build(), unreadable: None },
            Err(reason) => Self::unreadable(headers, reason),
        }
    }

    /// An answer that cannot be read.
    pub(super) fn unreadable(headers: &Headers, reason: XmlDecodeError) -> Self {
        let metadata = apply_request_id(ErrorMetadata::builder(), headers).build();
        Self { metadata, unreadable: Some(reason) }
    }
}

type Builder = aws_smithy_types::error::metadata::Builder;

fn code_and_message(response: &mut ScopedDecoder<'_, '_>) -> Result<Builder, XmlDecodeError> {
    let mut metadata = ErrorMetadata::builder();
    while let Some(mut errors) = response.next_tag() {
        if errors.start_el().local() != "Errors" {
            continue;
        }
        while let Some(mut error) = errors.next_tag() {
            while let Some(mut field) = error.next_tag() {
                metadata = match field.start_el().local() {
                    "Code" => metadata.code(text(&mut field)?),
                    "Message" => metadata.message(text(&mut field)?),
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
            (Some(code), _) => write!(formatter, "EC2 refused: {code}"),
            (None, Some(_)) => formatter.write_str("the answer cannot be read"),
            (None, None) => formatter.write_str("EC2 refused without a reason"),
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

    fn refusal(body: &str) -> Error {
        Error::refusal(&Headers::new(), body.as_bytes())
    }

    #[test]
    fn a_refusal_has_the_code_and_the_words_of_ec2() {
        let error = refusal(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded &amp; more.</Message>
            <Extra><Deep/></Extra></Error></Errors><RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>"#,
        );
        assert_eq!(error.code(), Some("RequestLimitExceeded"));
        assert_eq!(error.message(), Some("Request limit exceeded & more."));
        assert!(error.source().is_none());
    }

    #[test]
    fn the_request_id_of_the_headers_is_kept() {
        use aws_types::request_id::RequestId as _;
        let mut headers = Headers::new();
        headers.insert("x-amzn-requestid", "ea966190");
        let error =
            Error::refusal(&headers, b"<Response><Errors><Error><Code>AuthFailure</Code></Error></Errors></Response>");
        assert_eq!(error.meta().request_id(), Some("ea966190"));
    }

    #[test]
    fn what_is_no_refusal_of_ec2_is_unreadable() {
        for body in ["", "Bad Gateway", "<html><body>502</body></html>", "<Response><Errors><Error><Code>Auth"] {
            let error = refusal(body);
            assert_eq!(error.code(), None, "{body}");
            assert!(error.source().is_some(), "{body}");
        }
    }
}
