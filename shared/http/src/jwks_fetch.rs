//! Fetches the key set over HTTPS, without redirects, with a limit on time and size.

use std::time::Duration;

use axum::body::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tagledger_model::error_chain;

/// Maximum time of a request.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum size of the response, bytes.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// Why the document cannot be fetched.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(String);

impl From<String> for FetchError {
    fn from(why: String) -> Self {
        Self(why)
    }
}

#[derive(Debug)]
pub(crate) struct Fetcher(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>);

impl Fetcher {
    pub(crate) fn new() -> Result<Self, FetchError> {
        let trusted = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| error.to_string())?;
        Ok(Self(Client::builder(TokioExecutor::new()).build(trusted.https_or_http().enable_http1().build())))
    }

    pub(crate) async fn get(&self, address: &str) -> Result<Vec<u8>, FetchError> {
        let address: Uri = address.parse().map_err(|error| format!("it is no address: {error}"))?;
        let fetched = tokio::time::timeout(FETCH_TIMEOUT, async {
            let answer = self.0.get(address).await.map_err(|error| error_chain::ErrorChain(&error).to_string())?;
            if !answer.status().is_success() {
                return Err(format!("the answer is {}", answer.status()));
            }
            let body = Limited::new(answer.into_body(), MAX_RESPONSE_BYTES)
                .collect()
                .await
                .map_err(|error| error.to_string())?;
            Ok(body.to_bytes().to_vec())
        });
        let fetched = fetched.await.map_err(|_| format!("no answer within {} s", FETCH_TIMEOUT.as_secs()))?;
        Ok(fetched?)
    }
}
