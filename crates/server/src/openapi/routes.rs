//! Paths with their handlers and their documentation.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, any, on};
use serde_json::Value;
use utoipa::openapi::path::{HttpMethod, Paths};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

use super::operation::{KEY, Operation};
use super::schemas::{self, Schemas};
use super::{faults, page};
use crate::app::App;
use crate::credentials::{Access, Guarded};

/// What a document says of itself.
pub(crate) struct About {
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    /// Groups of operations with what they are for, in the order in which they are to be read.
    pub(crate) groups: &'static [(&'static str, &'static str)],
}

/// Paths that are served, guarded and documented. There is no way to add one without saying who may ask, or what it is for.
pub(crate) struct Routes {
    router: Router<Arc<App>>,
    paths: Paths,
    schemas: Schemas,
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), paths: Paths::new(), schemas: Schemas::default() }
    }

    pub(crate) fn get<H: Handler<T, Arc<App>>, T: 'static>(
        self,
        path: &str,
        access: Access,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.on(path, HttpMethod::Get, MethodFilter::GET, access, handler, operation)
    }

    pub(crate) fn post<H: Handler<T, Arc<App>>, T: 'static>(
        self,
        path: &str,
        access: Access,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.on(path, HttpMethod::Post, MethodFilter::POST, access, handler, operation)
    }

    pub(crate) fn put<H: Handler<T, Arc<App>>, T: 'static>(
        self,
        path: &str,
        access: Access,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.on(path, HttpMethod::Put, MethodFilter::PUT, access, handler, operation)
    }

    pub(crate) fn delete<H: Handler<T, Arc<App>>, T: 'static>(
        self,
        path: &str,
        access: Access,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.on(path, HttpMethod::Delete, MethodFilter::DELETE, access, handler, operation)
    }

    /// With whatever method; a document has no word for that, and has GET.
    pub(crate) fn any<H: Handler<T, Arc<App>>, T: 'static>(
        mut self,
        path: &str,
        access: Access,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.router = self.router.route(path, any(Guarded::new(handler, access, path)));
        self.document(path, HttpMethod::Get, operation.guarded(access))
    }

    fn on<H: Handler<T, Arc<App>>, T: 'static>(
        mut self,
        path: &str,
        method: HttpMethod,
        filter: MethodFilter,
        access: Access,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.router = self.router.route(path, on(filter, Guarded::new(handler, access, path)));
        self.document(path, method, operation.guarded(access))
    }

    fn document(mut self, path: &str, method: HttpMethod, operation: Operation) -> Self {
        let (operation, schemas) = operation.into_parts();
        // Documents know no parameter of several segments; what it may hold is said in its description.
        self.paths.add_path_operation(path.replace("{*", "{"), vec![method], operation);
        self.schemas.add(schemas);
        self
    }

    /// The router, which serves the document of everything in it, and the page that reads the document.
    pub(crate) fn served(self, about: &About) -> Router<Arc<App>> {
        // The document documents itself: it is made once its own paths are in it.
        let Self { router, paths, schemas } = self
            .document("/openapi.json", HttpMethod::Get, page::document_operation())
            .document("/docs", HttpMethod::Get, page::page_operation());
        let text = text(&document(about, paths, schemas));
        router
            .route("/openapi.json", on(MethodFilter::GET, move || std::future::ready(page::document(text.clone()))))
            .route("/docs", on(MethodFilter::GET, || std::future::ready(page::page())))
    }
}

fn document(about: &About, paths: Paths, mut schemas: Schemas) -> OpenApi {
    let About { title, description, groups } = about;
    let license = LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title(*title)
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(*description))
        .license(Some(license))
        .build();
    let tags = groups.iter().map(|(name, what)| TagBuilder::new().name(*name).description(Some(*what)).build());
    let responses = faults::responses(&mut schemas);
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas.into_inner())
        .responses_from_iter(responses)
        .security_scheme(KEY, key())
        .build();
    OpenApiBuilder::new().info(info).paths(paths).tags(Some(tags)).components(Some(components)).build()
}

/// Where keys are asked for, each operation says which scope one needs.
fn key() -> SecurityScheme {
    let says = "An API key, where the server asks for one: `tiergate keys` makes them. It may stand in `Tiergate-Key` as well. An operation names the scope that it needs.";
    SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(says)).build())
}

/// The document as it is sent.
fn text(document: &OpenApi) -> axum::body::Bytes {
    // A document is made of texts, lists and objects, which always serialize.
    let mut value = serde_json::to_value(document).unwrap_or_default();
    schemas::unwrap(&mut value);
    faults::keep_used(&mut value);
    serde_json::to_vec(&value).map(Into::into).unwrap_or_else(|_| Value::Null.to_string().into())
}
