//! How the interfaces answer with errors; each status once for each interface.

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder, Schema};

use super::schemas::Schemas;
use crate::error::ErrorBody;

/// An interface's way to answer with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interface {
    /// An object of code and message.
    OpenFga,
    /// The message as a string.
    AuthZen,
    /// As little as can be.
    Gateway,
    /// None: a probe's bad news is its answer.
    Health,
}

struct Fault {
    interface: Interface,
    status: u16,
    name: &'static str,
    description: &'static str,
    code: &'static str,
    message: &'static str,
}

const fn openfga(
    status: u16,
    name: &'static str,
    description: &'static str,
    code: &'static str,
    message: &'static str,
) -> Fault {
    Fault { interface: Interface::OpenFga, status, name, description, code, message }
}

const fn authzen(status: u16, name: &'static str, description: &'static str, message: &'static str) -> Fault {
    Fault { interface: Interface::AuthZen, status, name, description, code: "", message }
}

const fn gateway(status: u16, name: &'static str, description: &'static str, message: &'static str) -> Fault {
    Fault { interface: Interface::Gateway, status, name, description, code: "", message }
}

const INVALID: &str = "Something is wrong with the request; the message says what and where. Asking again can't help.";
const UNAUTHENTICATED: &str = "No valid key was shown, where `auth.keys_file` asks for one.";
const NO_KEY: &str = "no valid key was shown; send one as Authorization: Bearer, or as Tiergate-Key";
const FORBIDDEN: &str = "The key is not for this, or for another store; or `Host` names another server, or `Origin` a page that is not of this one.";
const INTERNAL: &str = "A fault of the server's own; its log has the details.";
const UNAVAILABLE: &str = "Too many requests, too slow, or the data can't be reached. Asking again later can help.";
const FOREIGN_HOST: &str = "the Host header names another server; ask at localhost or 127.0.0.1, \
                            or set http.public_url to the URL by which clients know this one";
const LIMITED: &str = "Too many questions that no cache could answer: of this caller, about this subject, or of this kind of action; where \
                       `limits.rate` is enabled. What a cache holds is answered all the same.";
const REFUSED: &str = "too many questions that no cache could answer; try again in 1500 ms";
const OVERLOADED: &str = "too many requests at once; try again";

/// The IETF draft's fields; answers that took something have them as well.
const RATE_LIMIT_FIELDS: [(&str, &str); 2] = [
    ("RateLimit-Policy", "The quotas that the request had to do with: `q` at once, and as much again in `w` seconds."),
    ("RateLimit", "Where they stand: `r` is left, and in `t` seconds there is more."),
];

const FAULTS: &[Fault] = &[
    openfga(400, "OpenFgaInvalid", INVALID, "validation_error", "tuple_key is missing"),
    openfga(401, "OpenFgaUnauthenticated", UNAUTHENTICATED, "unauthenticated", NO_KEY),
    openfga(403, "OpenFgaForbidden", FORBIDDEN, "forbidden", FOREIGN_HOST),
    openfga(
        404,
        "OpenFgaNotFound",
        "What the path names does not exist.",
        "store_id_not_found",
        "store 01JADEMP00000000000000STRE does not exist",
    ),
    openfga(429, "OpenFgaRateLimited", LIMITED, "rate_limit_exceeded", REFUSED),
    openfga(500, "OpenFgaInternal", INTERNAL, "internal_error", "internal error"),
    openfga(503, "OpenFgaUnavailable", UNAVAILABLE, "unavailable", OVERLOADED),
    authzen(400, "AuthZenInvalid", INVALID, "subject is missing"),
    authzen(401, "AuthZenUnauthenticated", UNAUTHENTICATED, NO_KEY),
    authzen(403, "AuthZenForbidden", FORBIDDEN, FOREIGN_HOST),
    authzen(
        404,
        "AuthZenNotFound",
        "The store does not exist, or it isn't clear which one is meant.",
        "there is no store yet; create one with POST /stores",
    ),
    authzen(
        413,
        "AuthZenTooLarge",
        "The body is longer than `http.max_body_bytes` allows.",
        "the body has more than 1048576 bytes; send less at once",
    ),
    authzen(429, "AuthZenRateLimited", LIMITED, REFUSED),
    authzen(500, "AuthZenInternal", INTERNAL, "internal error"),
    authzen(503, "AuthZenUnavailable", UNAVAILABLE, OVERLOADED),
    gateway(
        401,
        "GatewayUnauthenticated",
        "The request names nobody. `WWW-Authenticate` says what to send, where `gateway.challenge` is set.",
        "",
    ),
    gateway(403, "GatewayDenied", "The request must not go through: denied, of no route, or not understood.", ""),
    gateway(
        429,
        "GatewayRateLimited",
        "Too many questions that no cache could answer; no gateway takes that for an allow.",
        "too many requests",
    ),
    gateway(503, "GatewayUnavailable", "There is no answer; no gateway takes that for an allow.", "unavailable"),
];

impl Interface {
    /// The name of the response, where the interface has that status.
    pub(super) fn fault(self, status: u16) -> Option<&'static str> {
        FAULTS.iter().find(|fault| fault.interface == self && fault.status == status).map(|fault| fault.name)
    }
}

/// All of them, by their names.
pub(super) fn responses(schemas: &mut Schemas) -> Vec<(&'static str, RefOr<Response>)> {
    let mut found = vec![(ErrorBody::name().into_owned(), <ErrorBody<'_> as utoipa::PartialSchema>::schema())];
    ErrorBody::schemas(&mut found);
    schemas.add(found);
    FAULTS.iter().map(|fault| (fault.name, fault.response().into())).collect()
}

/// Leaves out the responses that no operation of the document refers to, and the schema that only they have.
pub(super) fn keep_used(document: &mut Value) {
    let paths = document.get("paths").map(Value::to_string).unwrap_or_default();
    if let Some(responses) = document.pointer_mut("/components/responses").and_then(Value::as_object_mut) {
        responses.retain(|name, _| paths.contains(&format!("#/components/responses/{name}\"")));
    }
}

impl Fault {
    fn response(&self) -> Response {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let mut response = ResponseBuilder::new().description(self.description);
        let (schema, example): (RefOr<Schema>, Value) = match self.interface {
            Interface::OpenFga => {
                (Ref::from_schema_name(ErrorBody::name()).into(), json!({"code": self.code, "message": self.message}))
            }
            _ => (text().build().into(), json!(self.message)),
        };
        if !self.message.is_empty() {
            let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
            response = response.content("application/json", content);
        }
        if matches!(self.status, 429 | 503) {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
            let header =
                HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds after which to ask again."));
            response = response.header("Retry-After", header.build());
        }
        if self.status == 429 && self.interface != Interface::Gateway {
            for (name, says) in RATE_LIMIT_FIELDS {
                let header = HeaderBuilder::new().schema(Some(text().build())).description(Some(says));
                response = response.header(name, header.build());
            }
        }
        response.build()
    }
}
