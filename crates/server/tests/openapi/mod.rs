//! The OpenAPI documents, held against what the server really does.

mod access;
mod document;
mod examples;
mod page;
mod schema;

use serde_json::Value;

use crate::support::World;

/// A documented operation.
struct Documented {
    path: String,
    method: String,
    operation: Value,
}

/// The documents of both listeners.
async fn documents(world: &World) -> [Value; 2] {
    [world.get("/openapi.json").await.body, world.admin_get("/openapi.json").await.body]
}

fn operations(document: &Value) -> Vec<Documented> {
    let paths = document["paths"].as_object().unwrap();
    let mut found = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            found.push(Documented { path: path.clone(), method: method.to_uppercase(), operation: operation.clone() });
        }
    }
    assert!(found.len() > 5, "a document of nothing would pass everywhere");
    found
}

/// What a reference leads to; anything else is itself.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        None => value,
        Some(to) => {
            let pointer = to.strip_prefix('#').unwrap_or_else(|| panic!("{to} leads out of the document"));
            document.pointer(pointer).unwrap_or_else(|| panic!("{to} leads nowhere"))
        }
    }
}

impl Documented {
    fn id(&self) -> &str {
        self.operation["operationId"].as_str().unwrap()
    }

    fn is_of(&self, group: &str) -> bool {
        self.operation["tags"] == serde_json::json!([group])
    }

    fn responses(&self) -> impl Iterator<Item = (u16, &Value)> {
        let responses = self.operation["responses"].as_object().unwrap();
        responses.iter().map(|(status, response)| (status.parse().unwrap(), response))
    }
}
