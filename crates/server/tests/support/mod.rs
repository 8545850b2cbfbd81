//! What the tests stand on.

pub(crate) mod child;
pub(crate) mod client;
pub(crate) mod wire;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use authz::decide::DecisionPoint;
use authz::model::Model;
use authz::relation::Tuple;
use authz::store::memory::MemoryStore;
use authz::store::{Store, StoreId, WriteBatch};
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use server::app::App;
use server::config::Settings;
use server::middleware::Edge;
use server::{open, router};

pub(crate) const MODEL: &str = "
model
  schema 1.1
type user
type team
  relations
    define member: [user, team#member]
type document
  relations
    define owner: [user]
    define viewer: [user, user:*, team#member] or owner
    define can_view: viewer
";

/// A server in this process, over an origin in memory.
pub(crate) struct World {
    pub(crate) app: Arc<App>,
    pub(crate) decisions: Arc<DecisionPoint>,
    public: Arc<Edge>,
    admin: Arc<Edge>,
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl World {
    /// Without any store.
    pub(crate) async fn empty() -> Self {
        Self::with(Settings::default()).await
    }

    /// Without any store, under settings.
    pub(crate) async fn with(settings: Settings) -> Self {
        let origin: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let opened = open::decision_point(origin, &settings).await.unwrap();
        Self::of(opened, settings)
    }

    /// Over what was opened.
    pub(crate) fn of(opened: open::Opened, settings: Settings) -> Self {
        let decisions = Arc::clone(&opened.decisions);
        let app = Arc::new(App::new(opened, settings, "https://pdp.example.com".to_owned()));
        let public = Edge::new(router::public(Arc::clone(&app)), &app);
        let admin = Edge::new(router::admin(Arc::clone(&app)), &app);
        Self { app, decisions, public, admin }
    }

    /// With one store, in which ann may view document:plan by way of her team.
    pub(crate) async fn small() -> Self {
        let world = Self::empty().await;
        world.store("only").await;
        world
    }

    /// Adds a store with the model and ann's relationships.
    pub(crate) async fn store(&self, name: &str) -> StoreId {
        let store = self.decisions.create_store(name).await.unwrap().id;
        self.decisions.write_model(store, &Model::from_dsl(MODEL).unwrap()).await.unwrap();
        let tuple = |object, relation, subject| Tuple::parse(object, relation, subject).unwrap();
        let writes = vec![tuple("team:9", "member", "user:ann"), tuple("document:plan", "viewer", "team:9#member")];
        self.decisions.write(store, None, WriteBatch::of(writes)).await.unwrap();
        store
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_text(path, &body.to_string()).await
    }

    pub(crate) async fn post_text(&self, path: &str, body: &str) -> Reply {
        self.send(json_request(Method::POST, path, body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(json_request(Method::GET, path, "")).await
    }

    pub(crate) async fn admin_post(&self, path: &str, body: &Value) -> Reply {
        answered(&self.admin, json_request(Method::POST, path, &body.to_string()), LOCAL).await
    }

    pub(crate) async fn admin_get(&self, path: &str) -> Reply {
        answered(&self.admin, json_request(Method::GET, path, ""), LOCAL).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        answered(&self.public, request, LOCAL).await
    }

    pub(crate) async fn admin_send(&self, request: Request<Body>) -> Reply {
        answered(&self.admin, request, LOCAL).await
    }

    pub(crate) async fn send_from(&self, peer: IpAddr, request: Request<Body>) -> Reply {
        answered(&self.public, request, peer).await
    }

    /// Asks whether ann may view document:plan.
    pub(crate) async fn ask_ann(&self) -> Reply {
        self.post("/access/v1/evaluation", &question("ann")).await
    }
}

pub(crate) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(crate) async fn answered(edge: &Edge, request: Request<Body>, peer: IpAddr) -> Reply {
    let (parts, body) = edge.handle(request, peer).await.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Reply { status: parts.status.as_u16(), headers: parts.headers, body, text }
}

pub(crate) fn json_request(method: Method, path: &str, body: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    request.body(Body::from(body.to_owned())).unwrap()
}

/// May this user view document:plan?
pub(crate) fn question(user: &str) -> Value {
    json!({
        "subject": {"type": "user", "id": user},
        "action": {"name": "can_view"},
        "resource": {"type": "document", "id": "plan"},
    })
}

impl Reply {
    pub(crate) fn decision(&self) -> bool {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body["decision"].as_bool().expect("a decision")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}
