//! Store files against a running server: each test gets a store of its own there, which is deleted afterwards.

use async_trait::async_trait;
use authz::model::Model;
use authz::relation::Tuple;
use authz::store::MAX_WRITE_BATCH;
use authz::storefile::{Check, Decider};
use serde_json::{Value, json};

use crate::client::{self, Reply};

/// Decides by a server.
pub(super) struct Http {
    url: String,
    store: Option<String>,
}

impl Http {
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), store: None }
    }

    /// Deletes what the last test left.
    pub(super) async fn clean_up(&mut self) -> Result<(), String> {
        match self.store.take() {
            Some(store) => {
                let reply =
                    client::delete(&self.url, &format!("/stores/{store}")).await.map_err(|error| error.to_string())?;
                expect(&reply, 204).map(|_| ())
            }
            None => Ok(()),
        }
    }

    async fn post(&self, path: &str, body: Value, status: u16) -> Result<Value, String> {
        let reply = client::send(&self.url, path, Some(body)).await.map_err(|error| error.to_string())?;
        expect(&reply, status).cloned()
    }
}

fn expect(Reply { status, body }: &Reply, expected: u16) -> Result<&Value, String> {
    if *status == expected {
        return Ok(body);
    }
    Err(format!("the server answered {status}: {}", body["message"].as_str().or(body.as_str()).unwrap_or_default()))
}

#[async_trait]
impl Decider for Http {
    async fn load(&mut self, model: &Model, tuples: &[Tuple]) -> Result<(), String> {
        self.clean_up().await?;
        let created = self.post("/stores", json!({"name": "model test"}), 201).await?;
        let id = created["id"].as_str().ok_or("the server named no store")?.to_owned();
        let path = format!("/stores/{id}");
        self.store = Some(id);
        self.post(&format!("{path}/authorization-models"), model.to_json(), 201).await?;
        for chunk in tuples.chunks(MAX_WRITE_BATCH) {
            let keys: Vec<Value> =
                chunk.iter().map(|tuple| key(&tuple.subject, &tuple.relation, &tuple.object)).collect();
            self.post(&format!("{path}/write"), json!({"writes": {"tuple_keys": keys}}), 200).await?;
        }
        Ok(())
    }

    async fn check(&self, check: &Check) -> Result<bool, String> {
        let store = self.store.as_ref().ok_or("no world was loaded")?;
        let body = json!({"tuple_key": key(&check.subject, &check.relation, &check.object)});
        let answer = self.post(&format!("/stores/{store}/check"), body, 200).await?;
        answer["allowed"].as_bool().ok_or_else(|| "the server gave no decision".to_owned())
    }
}

fn key(user: &dyn std::fmt::Display, relation: &str, object: &dyn std::fmt::Display) -> Value {
    json!({"user": user.to_string(), "relation": relation, "object": object.to_string()})
}
