//! Calls of the EC2 API over the SDK's runtime, configured as in the SDK's generated clients.

#[cfg(test)]
mod tests;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_runtime::{
    auth::{
        SigV4OperationSigningConfig,
        sigv4::{SCHEME_ID, SigV4AuthScheme},
    },
    invocation_id::InvocationIdInterceptor,
    recursion_detection::RecursionDetectionInterceptor,
    request_info::RequestInfoInterceptor,
    retries::classifiers::AwsErrorCodeClassifier,
    sdk_feature::AwsSdkFeature,
    service_clock_skew::{DisableClockSkewCorrection, ServiceClockSkewClassifier, ServiceClockSkewInterceptor},
    user_agent::{ApiMetadata, UserAgentInterceptor},
};
use aws_smithy_runtime::client::{
    http::connection_poisoning::ConnectionPoisoningInterceptor,
    orchestrator::operation::Operation,
    retries::{
        RetryPartition,
        classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier},
    },
    sdk_feature::SmithySdkFeature,
    stalled_stream_protection::StalledStreamProtectionInterceptor,
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{AuthSchemeOptionResolverParams, static_resolver::StaticAuthSchemeOptionResolver},
        endpoint::EndpointResolverParams,
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        runtime_components::RuntimeComponentsBuilder,
        runtime_plugin::{SharedRuntimePlugin, StaticRuntimePlugin},
    },
};
use aws_smithy_types::{
    body::SdkBody,
    config_bag::{FrozenLayer, Layer},
};
use aws_types::{SigningName, region::SigningRegion};

use crate::{
    endpoint_override,
    wire::query::{
        endpoint::EndpointResolver,
        error::Error,
        request::Request,
        xml::{Item, Page},
    },
};

/// An operation that can be invoked any number of times.
pub(crate) type Call<A> = Operation<Request, A, Error>;

/// The configuration that all calls of a client share, and the measured clock skew of the service.
#[derive(Debug)]
pub(crate) struct Transport {
    behavior: BehaviorVersion,
    common: SharedRuntimePlugin,
}

impl Transport {
    /// Creates the shared configuration of a client.
    pub(crate) fn new(config: &SdkConfig, retries: RetryPartition) -> Self {
        let common = StaticRuntimePlugin::new()
            .with_config(settings_layer(config, retries))
            .with_runtime_components(with_behavior(runtime_components(config)));
        Self {
            behavior: config.behavior_version().unwrap_or_else(BehaviorVersion::v2026_01_12),
            common: SharedRuntimePlugin::new(common),
        }
    }

    /// Creates the call that lists items of this type.
    pub(crate) fn call<T: Item>(&self) -> Call<Page<T>> {
        Operation::builder()
            .service_name("EC2")
            .operation_name(T::ACTION)
            .behavior_version(self.behavior)
            .runtime_plugin(self.common.clone())
            .serializer(|request: Request| post_request(request.to_form(T::ACTION)))
            .deserializer(parse_response::<T>)
            .build()
    }
}

/// Creates the layer of settings that the runtime reads.
fn settings_layer(config: &SdkConfig, retries: RetryPartition) -> FrozenLayer {
    let mut layer = Layer::new("ec2::Client");
    layer
        .store_put(AuthSchemeOptionResolverParams::new(()))
        .store_put(EndpointResolverParams::new(()))
        .store_put(SigV4OperationSigningConfig::default())
        .store_put(SigningName::from_static("ec2"))
        .store_or_unset(config.region().cloned().map(SigningRegion::from))
        .store_or_unset(config.region().cloned())
        .store_or_unset(config.retry_config().cloned())
        .store_put(retries)
        .store_or_unset(config.disable_clock_skew_correction().map(DisableClockSkewCorrection::from));
    // Unsetting these would remove the runtime's defaults.
    if let Some(timeouts) = config.timeout_config() {
        layer.store_put(timeouts.clone());
    }
    if let Some(protection) = config.stalled_stream_protection() {
        layer.store_put(protection);
    }
    add_user_agent(config, &mut layer);
    layer.freeze()
}

/// Adds the parts of the `User-Agent` header, with the SDK features in use.
fn add_user_agent(config: &SdkConfig, layer: &mut Layer) {
    layer
        .store_put(ApiMetadata::new("ec2", env!("CARGO_PKG_VERSION")))
        .store_or_unset(config.app_name().cloned())
        .store_append(SmithySdkFeature::RetryModeStandard);
    if endpoint_override::custom_endpoint(config, "ec2").is_some() {
        layer.store_append(AwsSdkFeature::EndpointOverride);
    }
    for framework in config.framework_metadata() {
        layer.store_append(framework.clone());
    }
}

/// Creates the runtime components of the configuration, and the endpoint resolver.
fn runtime_components(config: &SdkConfig) -> RuntimeComponentsBuilder {
    let mut components = RuntimeComponentsBuilder::new("ec2::Client")
        .with_http_client(config.http_client())
        .with_identity_cache(config.identity_cache())
        .with_endpoint_resolver(Some(EndpointResolver::new(config)))
        .with_auth_scheme(SigV4AuthScheme::new())
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID])));
    components.set_sleep_impl(config.sleep_impl()).set_time_source(config.time_source());
    if let Some(credentials) = config.credentials_provider() {
        components.set_identity_resolver(SCHEME_ID, credentials);
    }
    components
}

/// Adds the interceptors and retry classifiers of a generated client.
fn with_behavior(components: RuntimeComponentsBuilder) -> RuntimeComponentsBuilder {
    components
        .with_interceptor(ConnectionPoisoningInterceptor::new())
        .with_interceptor(StalledStreamProtectionInterceptor::default())
        .with_interceptor(ServiceClockSkewInterceptor::new())
        .with_interceptor(RequestInfoInterceptor::new())
        .with_interceptor(UserAgentInterceptor::new())
        .with_interceptor(InvocationIdInterceptor::new())
        .with_interceptor(RecursionDetectionInterceptor::new())
        .with_retry_classifier(HttpStatusCodeClassifier::default())
        .with_retry_classifier(TransientErrorClassifier::<Error>::new())
        .with_retry_classifier(AwsErrorCodeClassifier::<Error>::new())
        .with_retry_classifier(ServiceClockSkewClassifier::<Error>::new())
}

fn post_request(form: String) -> Result<HttpRequest, BoxError> {
    let length = form.len().to_string();
    let mut request = HttpRequest::new(SdkBody::from(form));
    request.set_method("POST")?;
    request.set_uri("/")?;
    request.headers_mut().try_insert("content-type", "application/x-www-form-urlencoded")?;
    request.headers_mut().try_insert("content-length", length)?;
    Ok(request)
}

fn parse_response<T: Item>(response: &HttpResponse) -> Result<Page<T>, OrchestratorError<Error>> {
    let headers = response.headers();
    let body = response.body().bytes().unwrap_or_default();
    let page = if response.status().is_success() {
        Page::parse(body).map_err(|reason| Error::unreadable(headers, reason))
    } else {
        Err(Error::from_response(headers, body))
    };
    page.map_err(OrchestratorError::operation)
}
