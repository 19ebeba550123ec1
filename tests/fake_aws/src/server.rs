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

/// The largest request body that is read, in bytes; the SDKs' are far smaller.
const BODY_LIMIT: usize = 1 << 20;

/// What all requests share.
pub(crate) struct Fake {
    pub(crate) estate: Estate,
    pub(crate) plan: RwLock<Arc<Plan>>,
    pub(crate) limited: AtomicBool,
    limits: Limits,
    ledger: Mutex<RequestLog>,
    answered: AtomicU64,
}

impl Fake {
    pub(crate) fn new(estate: Estate, plan: Plan) -> Self {
        Self {
            estate,
            plan: RwLock::new(Arc::new(plan)),
            limited: AtomicBool::new(false),
            limits: Limits::default(),
            ledger: Mutex::default(),
            answered: AtomicU64::new(0),
        }
    }

    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn request_log(&self) -> RequestLog {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn clear_request_log(&self) {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).requests.clear();
    }

    fn record(&self, request: Request) {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).requests.push(request);
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

    fn throttled(&self, call: &Call) -> bool {
        self.limited.load(Ordering::Relaxed) && !self.limits.admit(call, Instant::now())
    }

    fn serve(&self, call: &Call) -> Outcome {
        let Some(account_region) = AccountRegion::find(&self.estate, &call.account, &call.region) else {
            return Err(errors::not_enabled(call.service));
        };
        if call.service.regional() && !account_region.enabled {
            return Err(errors::not_enabled(call.service));
        }
        match call.service {
            Service::CloudTrail => cloud_trail::answer(&account_region, call),
            Service::CostExplorer => costs::answer(&account_region, call),
            Service::Ec2 => ec2::answer(&account_region, call),
            Service::Ecs => ecs::answer(&account_region, call),
            Service::Lambda => lambda::answer(&account_region, call),
            Service::Organizations => organizations::answer(&account_region, call),
            Service::Rds => rds::answer(&account_region, call),
            Service::S3 => s3::answer(&account_region, call),
            Service::Sts => sts::answer(&account_region, call),
            Service::Tagging => tagging::answer(&account_region, call),
            Service::Other => Err(ApiError::unknown(call)),
        }
    }
}

/// Answers any request.
pub(crate) async fn handle(State(fake): State<Arc<Fake>>, request: HttpRequest) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return errors::render(&ApiError::new(413, "RequestEntityTooLarge", "The body is too large."), Service::Other);
    };
    let text = String::from_utf8_lossy(&body);
    let read = Call::read(&head.method, &head.uri, &head.headers, &text, &fake.estate);
    let mut response = match read {
        Ok(call) => answer(&fake, call).await,
        Err(error) => errors::render(&error, Service::Ec2),
    };
    let id = format!("{:08x}-0000-4000-8000-000000000000", fake.answered.fetch_add(1, Ordering::Relaxed));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-amz-request-id", id.clone());
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

async fn answer(fake: &Fake, mut call: Call) -> Response<Body> {
    let mut effect = fake.next_effect(&call);
    let mut fault = effect.as_ref().map(Effect::name);
    if effect.is_none() && fake.throttled(&call) {
        (effect, fault) = (Some(Effect::Throttle), Some("rate limit"));
    }
    if let Some(Effect::Slow(time)) = &effect {
        tokio::time::sleep(*time).await;
    }
    let error = effect.as_ref().and_then(|effect| errors::from_effect(effect, &call));
    call.effect = effect;
    let outcome = error.map_or_else(|| fake.serve(&call), Err);
    fake.record(entry(&call, &outcome, fault));
    match outcome {
        Ok(reply) => render(reply, &call),
        Err(error) => errors::render(&error, call.service),
    }
}

fn entry(call: &Call, outcome: &Outcome, fault: Option<&'static str>) -> Request {
    let (status, items, known) = match outcome {
        Ok(reply) => (200, reply.items, true),
        Err(error) => (error.status, 0, error.known),
    };
    Request {
        service: call.signing_name.clone(),
        operation: call.operation.clone(),
        account: call.account.clone(),
        region: call.region.clone(),
        status,
        items,
        fault,
        known,
    }
}

fn render(reply: Reply, call: &Call) -> Response<Body> {
    let mut body = Bytes::from(reply.body);
    let declared = body.len();
    let half = body.slice(..declared / 2);
    let mut response = match call.effect {
        Some(Effect::Cut) => {
            let mut response = Response::new(cut(half));
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

/// A body that breaks off after its first half. The pause lets that half leave before the connection is closed.
fn cut(half: Bytes) -> Body {
    let broken = stream::once(async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    Body::from_stream(stream::iter([Ok(half)]).chain(broken))
}
