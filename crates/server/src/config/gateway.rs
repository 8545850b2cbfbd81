//! The settings for gateways: what a request to an application means as a question.

use serde::{Deserialize, Serialize};

/// What gateways ask at `/forward-auth`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// The header in which the gateway names who asks. The gateway must set it on every request, over whatever the client sent.
    pub subject_header: String,
    /// The type of those subjects.
    pub subject_type: String,
    /// The id of whoever comes without that header. Without it, they are sent to log in (401).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<String>,
    /// What `WWW-Authenticate` says to whoever is sent to log in. Without it, that header is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
    /// Names of the applications, for gateways that send the application's name as `Host` (Caddy, Envoy).
    pub hosts: Vec<String>,
    /// The requests that may get through. What is not here is denied.
    pub routes: Vec<Route>,
}

/// Requests to an application, and what has to be allowed for them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The methods, in upper case. GET does not stand for HEAD.
    pub methods: Vec<String>,
    /// The path, decoded: `/documents/{id}`, where a placeholder is a whole segment; `/files/{*rest}` takes all that follows.
    pub path: String,
    /// The action to ask for: a relation of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The resource to ask for, with the path's placeholders in its id: `document:{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The store to ask. Without it, the default store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// Whether everybody may, without being asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            subject_header: "X-Forwarded-User".to_owned(),
            subject_type: "user".to_owned(),
            anonymous: None,
            challenge: None,
            hosts: Vec::new(),
            routes: Vec::new(),
        }
    }
}
