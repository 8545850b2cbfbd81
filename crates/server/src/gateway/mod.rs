//! What a request to an application behind a gateway means as a question.
//!
//! Invariants: what is not in the route map is denied; what could mean two things is refused; who asks is named by the gateway, once.

mod refusal;
mod subject;
mod table;
mod target;
mod template;
#[cfg(test)]
mod tests;

use authz::relation::{Object, Subject, Text};
use authz::store::StoreId;
use axum::http::{HeaderMap, HeaderValue};

use crate::config;
pub(crate) use refusal::Refusal;
use subject::Subjects;
use table::{Ask, Table};
use target::Target;

/// The route map with who is named how.
pub struct Gateway {
    table: Table,
    subjects: Subjects,
}

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {text}")]
pub struct GatewayFault {
    /// The setting.
    pub key: &'static str,
    /// What is wrong, and what to do.
    pub text: String,
}

/// A request as the client sent it to the gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Original<'a> {
    pub(crate) method: &'a [u8],
    /// Path and query, as they came.
    pub(crate) target: &'a [u8],
}

/// What has to be decided for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing: everybody may.
    Public,
    /// Whether this subject may do this.
    Question { store: Option<StoreId>, subject: Subject, relation: Text, resource: Object },
}

impl Gateway {
    /// Reads the settings.
    ///
    /// # Errors
    /// With every fault: which route, and what to do.
    pub fn new(settings: &config::Gateway) -> Result<Self, Vec<GatewayFault>> {
        let (gateway, faults) = Self::read(settings);
        if faults.is_empty() { Ok(gateway) } else { Err(faults) }
    }

    /// What settings mean that were checked before. Were there a fault in them, everything would be closed.
    pub(crate) fn checked(settings: &config::Gateway) -> Self {
        Self::new(settings).unwrap_or_else(|faults| {
            tracing::error!(?faults, "the gateway's settings are wrong; nothing is let through");
            Self::read(&config::Gateway::default()).0
        })
    }

    fn read(settings: &config::Gateway) -> (Self, Vec<GatewayFault>) {
        let (subjects, mut faults) = Subjects::new(settings);
        let (table, more) = Table::new(&settings.routes);
        faults.extend(more.into_iter().map(|text| GatewayFault { key: "gateway.routes", text }));
        (Self { table, subjects }, faults)
    }

    /// What a request means, by its path, its method and the gateway's headers.
    ///
    /// # Errors
    /// Where it means nothing, or could mean two things.
    pub(crate) fn meaning(&self, original: Original<'_>, headers: &HeaderMap) -> Result<Meaning, Refusal> {
        let target = Target::parse(original.target)?;
        let (ask, values) = self.table.find(original.method, &target)?;
        let Ask::Decision(asked) = ask else { return Ok(Meaning::Public) };
        let resource = asked.resource.fill(|name| values.get(name)).map_err(Refusal::Resource)?;
        let subject = self.subjects.of(headers)?;
        Ok(Meaning::Question { store: asked.store, subject, relation: asked.relation.clone(), resource })
    }

    /// What whoever is sent to log in is told in `WWW-Authenticate`.
    pub(crate) fn challenge(&self) -> Option<&HeaderValue> {
        self.subjects.challenge()
    }

    /// Whether there is no route at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}
