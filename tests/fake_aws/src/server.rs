//! The HTTP server. It parses a request, applies faults and rate limits, calls the service and logs the request.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request as HttpRequest, State},
    http::{HeaderValue, Response, header::CONTENT_LENGTH, header::CONTENT_TYPE},
};
use futures::{StreamExt as _, stream};

use crate::{
    account_region::AccountRegion,
    cloud_trail, costs, ec2, ecs,
    errors::{self, ApiError},
    estate::Estate,
    faults::{Effect, Plan, Target},
    lambda, organizations,
    protocol::{Call, Outcome, Reply, Service},
    rate_limits::Limits,
    rds,
    request_log::{Request, RequestLog},
    s3, sts, tagging,
};

/// The maximum size of a request body in bytes. The requests of the SDKs are much smaller.
const MAX_BODY_BYTES: usize = 1 << 20;

/// The state that all requests share.
pub(crate) struct Fake {
    pub(crate) estate: Estate,
    pub(crate) plan: RwLock<Arc<Plan>>,
    pub(crate) limited: AtomicBool,
    limits: Limits,
    request_log: Mutex<RequestLog>,
    request_count: AtomicU64,
}

impl Fake {
    pub(crate) fn new(estate: Estate, plan: Plan) -> Self {
        Self {
            estate,
            plan: RwLock::new(Arc::new(plan)),
            limited: AtomicBool::new(false),
            limits: Limits::default(),
            request_log: Mutex::default(),
            request_count: AtomicU64::new(0),
        }
    }

    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn request_log(&self) -> RequestLog {
        self.request_log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn clear_request_log(&self) {
        self.request_log.lock().unwrap_or_else(PoisonError::into_inner).requests.clear();
    }

    fn record(&self, request: Request) {
        self.request_log.lock().unwrap_or_else(PoisonError::into_inner).requests.push(request);
    }

    fn next_effect(&self, call: &Call) -> Option<Effect> {
        self.plan().next_effect(&Target {
            service: &call.signing_name,
            operation: &call.operation,
            account: &call.account,
            region: &call.region,
            text: &call.text,
        })
    }

    fn is_throttled(&self, call: &Call) -> bool {
        self.limited.load(Ordering::Relaxed) && !self.limits.admit(call, Instant::now())
    }

    fn call_service(&self, call: &Call) -> Outcome {
        let Some(account_region) = AccountRegion::find(&self.estate, &call.account, &call.region) else {
            return Err(errors::not_enabled(call.service));
        };
        if call.service.is_regional() && !account_region.enabled {
            return Err(errors::not_enabled(call.service));
        }
        match call.service {
            Service::CloudTrail => cloud_trail::handle(&account_region, call),
            Service::CostExplorer => costs::handle(&account_region, call),
            Service::Ec2 => ec2::handle(&account_region, call),
            Service::Ecs => ecs::handle(&account_region, call),
            Service::Lambda => lambda::handle(&account_region, call),
            Service::Organizations => organizations::handle(&account_region, call),
            Service::Rds => rds::handle(&account_region, call),
            Service::S3 => s3::handle(&account_region, call),
            Service::Sts => sts::handle(&account_region, call),
            Service::Tagging => tagging::handle(&account_region, call),
            Service::Other => Err(ApiError::unsupported(call)),
        }
    }
}

/// Handles an HTTP request.
pub(crate) async fn handle(State(fake): State<Arc<Fake>>, request: HttpRequest) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return errors::render(&ApiError::new(413, "RequestEntityTooLarge", "The body is too large."), Service::Other);
    };
    let text = String::from_utf8_lossy(&body);
    let parsed = Call::parse(&head.method, &head.uri, &head.headers, &text, &fake.estate);
    let mut response = match parsed {
        Ok(call) => respond(&fake, call).await,
        Err(error) => errors::render(&error, Service::Ec2),
    };
    let id = format!("{:08x}-0000-4000-8000-000000000000", fake.request_count.fetch_add(1, Ordering::Relaxed));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-amz-request-id", id.clone());
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

async fn respond(fake: &Fake, mut call: Call) -> Response<Body> {
    let mut effect = fake.next_effect(&call);
    let mut fault = effect.as_ref().map(Effect::name);
    if effect.is_none() && fake.is_throttled(&call) {
        (effect, fault) = (Some(Effect::Throttle), Some("rate limit"));
    }
    if let Some(Effect::Slow(time)) = &effect {
        tokio::time::sleep(*time).await;
    }
    let error = effect.as_ref().and_then(|effect| errors::from_effect(effect, &call));
    call.effect = effect;
    let outcome = error.map_or_else(|| fake.call_service(&call), Err);
    fake.record(log_entry(&call, &outcome, fault));
    match outcome {
        Ok(reply) => render(reply, &call),
        Err(error) => errors::render(&error, call.service),
    }
}

fn log_entry(call: &Call, outcome: &Outcome, fault: Option<&'static str>) -> Request {
    let (status, items, supported) = match outcome {
        Ok(reply) => (200, reply.items, true),
        Err(error) => (error.status, 0, error.supported),
    };
    Request {
        service: call.signing_name.clone(),
        operation: call.operation.clone(),
        account: call.account.clone(),
        region: call.region.clone(),
        status,
        items,
        fault,
        supported,
    }
}

fn render(reply: Reply, call: &Call) -> Response<Body> {
    let mut body = Bytes::from(reply.body);
    let declared = body.len();
    let half = body.slice(..declared / 2);
    let mut response = match call.effect {
        Some(Effect::Cut) => {
            let mut response = Response::new(cut_off_body(half));
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(declared));
            response
        }
        Some(Effect::TruncatedXml) => {
            body = half;
            Response::new(Body::from(body))
        }
        _ => Response::new(Body::from(body)),
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(call.service.content_type()));
    response
}

/// Returns a body that fails after its first half. The pause ensures that this half is sent before the connection is closed.
fn cut_off_body(half: Bytes) -> Body {
    let failure = stream::once(async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    Body::from_stream(stream::iter([Ok(half)]).chain(failure))
}
