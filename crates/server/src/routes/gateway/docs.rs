//! The documentation of what gateways ask.

use crate::openapi::Operation;

const ABOUT: &str = "The answer is a status and no body: 200, and the request may go through; anything else, and it must not. Which requests are what \
                     questions is the configuration's `gateway.routes`.";

pub(crate) fn forwarded() -> Operation {
    with_headers("forwardAuth", "May a request go through? In the headers of Traefik and Caddy")
}

pub(crate) fn traefik() -> Operation {
    with_headers("forwardAuthTraefik", "For Traefik's ForwardAuth")
}

pub(crate) fn caddy() -> Operation {
    with_headers("forwardAuthCaddy", "For Caddy's forward_auth")
}

pub(crate) fn nginx() -> Operation {
    let operation = of("forwardAuthNginx", "For nginx's auth_request");
    request(operation, "X-Original-Method", "X-Original-URI")
}

pub(crate) fn envoy_root() -> Operation {
    of("forwardAuthEnvoyRoot", "For Envoy's ext_authz over HTTP: the application's root")
}

pub(crate) fn envoy() -> Operation {
    of("forwardAuthEnvoy", "For Envoy's ext_authz over HTTP: any other path of the application").path(
        "path",
        "The path that the client asks for, with its slashes. The method is the client's own, whatever it is.",
        "documents/plan",
    )
}

fn with_headers(id: &str, summary: &str) -> Operation {
    request(of(id, summary), "X-Forwarded-Method", "X-Forwarded-Uri")
}

fn request(operation: Operation, method: &str, target: &str) -> Operation {
    operation.header(method, true, "The method that the client asks with.", "GET").header(
        target,
        true,
        "The path that the client asks for.",
        "/documents/plan",
    )
}

fn of(id: &str, summary: &str) -> Operation {
    Operation::gateway(id, summary)
        .about(ABOUT)
        .header(
            "X-Forwarded-User",
            false,
            "Who asks, as the gateway found out; `gateway.subject_header` names another header.",
            "ann",
        )
        .names_its_state()
        .answers_nothing(200, "It may. `X-Tiergate-Decision-Id` names the decision.")
}
