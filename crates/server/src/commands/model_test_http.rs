//! Store files against a running server: each test gets a store of its own there, which is deleted afterwards.

use async_trait::async_trait;
use authz::condition::Context;
use authz::model::Model;
use authz::relation::{Object, Relationship, Subject};
use authz::store::MAX_WRITE_BATCH;
use authz::storefile::{Check, Decider, ListObjectsTest, ListUsersTest};
use serde_json::{Map, Value, json};

use crate::client::{self, Reply, Server};

/// Decides by a server.
pub(super) struct Http {
    server: Server,
    store: Option<String>,
}

impl Http {
    pub(super) fn new(server: Server) -> Self {
        Self { server, store: None }
    }

    /// Deletes what the last test left.
    pub(super) async fn clean_up(&mut self) -> Result<(), String> {
        match self.store.take() {
            Some(store) => {
                let reply = client::delete(&self.server, &format!("/stores/{store}"))
                    .await
                    .map_err(|error| error.to_string())?;
                expect(&reply, 204).map(|_| ())
            }
            None => Ok(()),
        }
    }

    async fn post(&self, path: &str, body: Value, status: u16) -> Result<Value, String> {
        let reply = client::send(&self.server, path, Some(body)).await.map_err(|error| error.to_string())?;
        expect(&reply, status).cloned()
    }

    /// Changes something, and waits for no other server: this one is asked.
    async fn change(&self, path: &str, body: Value) -> Result<Value, String> {
        let path = format!("{path}?wait=none");
        let reply = client::send(&self.server, &path, Some(body)).await.map_err(|error| error.to_string())?;
        let status = if matches!(reply.status, 200..=202) { reply.status } else { 201 };
        expect(&reply, status).cloned()
    }

    /// A question in the store of the test.
    async fn ask(&self, question: &str, body: Value) -> Result<Value, String> {
        let store = self.store.as_ref().ok_or("no world was loaded")?;
        self.post(&format!("/stores/{store}/{question}"), body, 200).await
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
    async fn load(&mut self, model: &Model, tuples: &[Relationship]) -> Result<(), String> {
        self.clean_up().await?;
        let created = self.change("/stores", json!({"name": "model test"})).await?;
        let id = created["id"].as_str().ok_or("the server named no store")?.to_owned();
        let path = format!("/stores/{id}");
        self.store = Some(id);
        self.change(&format!("{path}/authorization-models"), model.to_json()).await?;
        for chunk in tuples.chunks(MAX_WRITE_BATCH) {
            let keys: Vec<Value> = chunk.iter().map(relationship).collect();
            self.change(&format!("{path}/write"), json!({"writes": {"tuple_keys": keys}})).await?;
        }
        Ok(())
    }

    async fn check(&self, check: &Check) -> Result<bool, String> {
        let Check { subject, relation, object, context, .. } = check;
        let body = json!({"tuple_key": key(subject, relation, object), "context": values(context)});
        let answer = self.ask("check", body).await?;
        answer["allowed"].as_bool().ok_or_else(|| "the server gave no decision".to_owned())
    }

    async fn list_objects(&self, list: &ListObjectsTest) -> Result<Vec<Object>, String> {
        let ListObjectsTest { subject, object_type, relation, context, .. } = list;
        let body = json!({
            "user": subject.to_string(),
            "relation": &**relation,
            "type": &**object_type,
            "context": values(context),
        });
        let answer = self.ask("list-objects", body).await?;
        let objects = answer["objects"].as_array().ok_or("the server gave no list of objects")?;
        let object = |value: &Value| match value.as_str() {
            Some(text) => Object::parse(text).map_err(|error| error.to_string()),
            None => Err(format!("the server listed {value}, which is no object")),
        };
        objects.iter().map(object).collect()
    }

    async fn list_users(&self, list: &ListUsersTest) -> Result<Vec<Subject>, String> {
        let ListUsersTest { object, filter, relation, context, .. } = list;
        let mut kind = json!({"type": &*filter.type_name});
        if let Some(relation) = &filter.relation {
            kind["relation"] = Value::from(&**relation);
        }
        let body = json!({
            "object": {"type": &*object.type_name, "id": &*object.id},
            "relation": &**relation,
            "user_filters": [kind],
            "context": values(context),
        });
        let answer = self.ask("list-users", body).await?;
        let users = answer["users"].as_array().ok_or("the server gave no list of users")?;
        users.iter().map(subject).collect()
    }
}

/// `{"object": {"type", "id"}}`, `{"userset": {"type", "id", "relation"}}` or `{"wildcard": {"type"}}`
fn subject(value: &Value) -> Result<Subject, String> {
    let part = |kind: &str, key: &str| value[kind][key].as_str();
    let text = match (part("object", "type"), part("userset", "type"), part("wildcard", "type")) {
        (Some(name), None, None) => part("object", "id").map(|id| format!("{name}:{id}")),
        (None, Some(name), None) => part("userset", "id")
            .zip(part("userset", "relation"))
            .map(|(id, relation)| format!("{name}:{id}#{relation}")),
        (None, None, Some(name)) => Some(format!("{name}:*")),
        _ => None,
    };
    let text = text.ok_or_else(|| format!("the server listed {value}, which is no subject"))?;
    Subject::parse(&text).map_err(|error| error.to_string())
}

fn relationship(Relationship { tuple, condition }: &Relationship) -> Value {
    let mut key = key(&tuple.subject, &tuple.relation, &tuple.object);
    if let Some(condition) = condition {
        key["condition"] = json!({"name": &*condition.name, "context": values(&condition.context)});
    }
    key
}

fn values(context: &Context) -> Value {
    Value::Object(context.iter().map(|(name, value)| (name.to_string(), value.clone())).collect::<Map<_, _>>())
}

fn key(user: &dyn std::fmt::Display, relation: &str, object: &dyn std::fmt::Display) -> Value {
    json!({"user": user.to_string(), "relation": relation, "object": object.to_string()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_subject_in_a_list_is_read() {
        let read = |value: Value| subject(&value).map(|subject| subject.to_string());
        assert_eq!(read(json!({"object": {"type": "user", "id": "ann"}})).unwrap(), "user:ann");
        let userset = json!({"userset": {"type": "team", "id": "9", "relation": "member"}});
        assert_eq!(read(userset).unwrap(), "team:9#member");
        assert_eq!(read(json!({"wildcard": {"type": "user"}})).unwrap(), "user:*");
        for other in [json!("user:ann"), json!({"object": {"type": "user"}}), json!({})] {
            assert!(read(other).unwrap_err().contains("which is no subject"));
        }
    }
}
