//! What happens around every handler, in one place and in this order:
//!
//! 1. the request id is read or made, so that every answer carries one, whatever happens next;
//! 2. a request that names another server, or comes from a stranger's web page, is refused; probes of health may name whom they like,
//!    and gateways the applications that they stand before;
//! 3. whoever shows a key is known by it from here on;
//! 4. the gate lets the request in, or refuses it while there is room to say so;
//! 5. the clock starts: the body, the handler and the origin share one time limit; a change that is committed by its end has as much more
//!    as its writer wants to wait for the other instances;
//! 6. a change that the answer must contain, if the request names one, is waited for, unless nobody asks;
//! 7. a panic ends here, as a 500 without details, and its neighbours go on;
//! 8. the guard of the path lets its caller in, or refuses them before anything more is read;
//! 9. the handler.
//!
//! It is one function around the router rather than a stack of layers: a decision from memory takes less time than boxing a future for
//! each of five layers.

mod gate;
mod hosts;
mod request_id;

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use futures_util::FutureExt;
use tokio::time::Instant;
use tower::Service;

use crate::acknowledge::{self, Longer};
use crate::app::App;
use crate::credentials::{Caller, Scope};
use crate::error::{Api, CHANGE_NOT_KNOWN, CHANGE_STORED, FATE_NOT_KNOWN, Fault, NOT_IN_FORCE_YET};
use crate::limits::{Limits, Meter, Payer};
use gate::{Gate, Inside};
use hosts::Hosts;
use request_id::RequestId;

/// The longest part of a path that is logged.
const MAX_LOGGED_PATH: usize = 128;
/// The ends of the paths of what is asked by `POST`. Whatever else is sent by another method than `GET` may change something.
const QUESTIONS: [&str; 8] = [
    "/batch-check",
    "/check",
    "/expand",
    "/explain",
    "/list-objects",
    "/list-users",
    "/read",
    "/streamed-list-objects",
];

/// A router with what happens around it.
pub struct Edge {
    router: Router,
    hosts: Hosts,
    gate: Gate,
    limits: Option<Arc<Limits>>,
    timeout: Duration,
    app: Arc<App>,
}

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// Whether they may see what helps to operate the server, as the tier that a decision came from: with a key that explains, and where none are asked
    /// for, on this machine.
    pub(crate) sees_inside: bool,
}

impl Edge {
    /// Puts a router behind the edge.
    #[must_use]
    pub fn new(router: Router, app: &Arc<App>) -> Arc<Self> {
        let http = &app.settings.http;
        Arc::new(Self {
            router,
            hosts: Hosts::of(app),
            gate: Gate::new(http.max_requests),
            limits: app.limits.clone(),
            timeout: http.request_timeout(),
            app: Arc::clone(app),
        })
    }

    /// Answers a request. There is always an answer, and it always carries a request id.
    pub async fn handle(&self, mut request: Request<Body>, peer: IpAddr) -> Response {
        let id = RequestId::of(request.headers());
        let api = Api::of(request.uri().path());
        let line = tracing::enabled!(tracing::Level::DEBUG).then(|| Line::of(&request));
        let caller = self.app.credentials.caller(request.headers(), api);
        let sees_inside = match &caller {
            Caller::Anyone => peer.is_loopback(),
            Caller::Nobody => false,
            Caller::Known(credential) => credential.scopes.contains(Scope::Explain),
        };
        request.extensions_mut().insert(Peer { sees_inside });
        let meter = self.meter(api, &caller, peer);
        let is_nobody = matches!(caller, Caller::Nobody);
        request.extensions_mut().insert(caller);
        if let Some(meter) = &meter {
            request.extensions_mut().insert(meter.clone());
        }
        let mut response = match self.admit(&request, api) {
            Ok(inside) => self.answer(request, api, is_nobody, inside).await,
            Err(fault) => api.response(&fault),
        };
        if let Some(meter) = meter.filter(|_| api != Api::Gateway) {
            meter.put(response.headers_mut());
        }
        if let Some(line) = line {
            line.write(&response, &id);
        }
        id.put(response.headers_mut());
        response
    }

    /// Lets a request in, for as long as what is returned lives.
    fn admit(&self, request: &Request<Body>, api: Api) -> Result<Inside<'_>, Fault> {
        match api {
            Api::Health => {}
            Api::Gateway => self.hosts.check_gateway(request.uri(), request.headers())?,
            Api::AuthZen | Api::OpenFga => self.hosts.check(request.uri(), request.headers())?,
        }
        self.gate.enter(api).ok_or_else(|| Fault::unavailable("too many requests at once; try again"))
    }

    /// What counts the questions of a request, where there are limits and it may have any. A gateway is not told where it stands: some show that to the client.
    fn meter(&self, api: Api, caller: &Caller, peer: IpAddr) -> Option<Meter> {
        let limits = self.limits.as_ref().filter(|_| api != Api::Health)?;
        let payer = match caller {
            Caller::Known(credential) => Payer::Key(Arc::clone(credential)),
            Caller::Anyone | Caller::Nobody => Payer::Address(peer),
        };
        Some(Meter::new(limits, payer))
    }

    async fn answer(&self, mut request: Request<Body>, api: Api, is_nobody: bool, inside: Inside<'_>) -> Response {
        let mut router = self.router.clone();
        let longer = may_change(&request, api).then(Longer::default);
        if let Some(longer) = &longer {
            request.extensions_mut().insert(longer.clone());
        }
        let answer = async {
            if !is_nobody
                && request.headers().contains_key(acknowledge::AT_LEAST_HEADER)
                && let Err(fault) = acknowledge::contain_what_the_header_names(&self.app, request.headers()).await
            {
                return Ok(api.response(&fault));
            }
            router.call(request).await
        };
        // A handler holds no lock across an await and shares nothing that a panic leaves half changed.
        let mut guarded = pin!(AssertUnwindSafe(answer).catch_unwind());
        let mut answered = tokio::time::timeout(self.timeout, &mut guarded).await;
        if answered.is_err()
            && let Some(until) = longer.as_ref().and_then(Longer::until)
        {
            // Whoever waits for other instances does no work here, and keeps nobody out.
            drop(inside);
            answered = tokio::time::timeout_at(until, guarded).await;
        }
        match answered {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_panic)) => api.response(&Fault::internal()),
            Err(_) => api.response(&self.too_late(longer.as_ref())),
        }
    }

    /// What is said instead of an answer that did not come in time. A change that was begun goes on without its writer.
    fn too_late(&self, change: Option<&Longer>) -> Fault {
        let advice = match change {
            Some(change) if change.until().is_some() => {
                return Fault::uncertain(NOT_IN_FORCE_YET, CHANGE_STORED);
            }
            Some(_) => CHANGE_NOT_KNOWN,
            None => "try again",
        };
        let message = format!("no answer within {} ms; {advice}", self.timeout.as_millis());
        match change {
            Some(_) => Fault::uncertain(FATE_NOT_KNOWN, message),
            None => Fault::unavailable(message),
        }
    }
}

/// Whether whoever gets no answer to a request has to know that it may have been done.
fn may_change(request: &Request<Body>, api: Api) -> bool {
    let (method, path) = (request.method(), request.uri().path());
    let is_question = method == Method::POST && QUESTIONS.iter().any(|end| path.ends_with(end));
    api == Api::OpenFga && method != Method::GET && !is_question
}

/// What the log says of a request: no query, no body, no names of subjects.
struct Line {
    method: Method,
    path: String,
    begun: Instant,
}

impl Line {
    fn of(request: &Request<Body>) -> Self {
        let path = request.uri().path().chars().take(MAX_LOGGED_PATH).collect();
        Self { method: request.method().clone(), path, begun: Instant::now() }
    }

    fn write(&self, response: &Response, id: &RequestId) {
        let Self { method, path, begun } = self;
        let (status, us) = (response.status().as_u16(), begun.elapsed().as_micros());
        tracing::debug!(%method, ?path, status, us = u64::try_from(us).unwrap_or(u64::MAX), request = ?id, "request");
    }
}
