//! The documentation of one operation.

use serde_json::Value;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Required, ResponseBuilder, Schema};
use utoipa::{IntoParams, ToSchema};

use super::faults::Interface;
use super::{EXAMPLE_MODEL, EXAMPLE_STORE, EXAMPLE_TOKEN};
use crate::credentials::Access;

/// How documents call what has to be shown.
pub(super) const KEY: &str = "key";

/// An operation: what it is for, what it takes, and what it answers, with examples that work in the demo store.
pub(crate) struct Operation {
    interface: Interface,
    builder: OperationBuilder,
    schemas: Vec<(String, RefOr<Schema>)>,
    /// Whether its answer names the state that it rests on.
    names_state: bool,
}

impl Operation {
    /// Of OpenFGA's interface.
    pub(crate) fn openfga(id: &str, summary: &str) -> Self {
        Self::new(Interface::OpenFga, "OpenFGA", id, summary).faults(&[403, 500, 503])
    }

    /// Of AuthZEN's interface.
    pub(crate) fn authzen(id: &str, summary: &str) -> Self {
        Self::new(Interface::AuthZen, "AuthZEN", id, summary).faults(&[403, 404, 500, 503])
    }

    /// Of the administration, whose errors have the shape of OpenFGA's.
    pub(crate) fn administration(id: &str, summary: &str) -> Self {
        Self::new(Interface::OpenFga, "Administration", id, summary).faults(&[403, 500, 503])
    }

    /// Of what gateways ask.
    pub(crate) fn gateway(id: &str, summary: &str) -> Self {
        Self::new(Interface::Gateway, "Gateways", id, summary).faults(&[401, 403, 429, 503])
    }

    /// Of the probes, which anybody may ask under any name.
    pub(crate) fn health(id: &str, summary: &str) -> Self {
        Self::new(Interface::Health, "Health", id, summary)
    }

    /// Of what documents the others.
    pub(super) fn documentation(id: &str, summary: &str) -> Self {
        Self::new(Interface::OpenFga, "Documentation", id, summary).faults(&[403, 503])
    }

    fn new(interface: Interface, group: &str, id: &str, summary: &str) -> Self {
        let builder = OperationBuilder::new().tag(group).operation_id(Some(id)).summary(Some(summary));
        Self { interface, builder, schemas: Vec::new(), names_state: false }
    }

    /// What one has to know besides.
    pub(crate) fn about(mut self, description: &str) -> Self {
        self.builder = self.builder.description(Some(description));
        self
    }

    /// It is about the store that the path names.
    pub(crate) fn of_store(self) -> Self {
        self.path("store_id", "The store.", EXAMPLE_STORE).faults(&[400, 404])
    }

    /// It is about the version of a model that the path names.
    pub(crate) fn of_model(self) -> Self {
        self.path("model_id", "The version of the model.", EXAMPLE_MODEL)
    }

    /// A part of the path.
    pub(crate) fn path(self, name: &str, description: &str, example: &str) -> Self {
        self.parameter(ParameterIn::Path, name, Required::True, description, example)
    }

    /// A header.
    pub(crate) fn header(self, name: &str, required: bool, description: &str, example: &str) -> Self {
        let required = if required { Required::True } else { Required::False };
        self.parameter(ParameterIn::Header, name, required, description, example)
    }

    fn parameter(
        mut self,
        place: ParameterIn,
        name: &str,
        required: Required,
        description: &str,
        example: &str,
    ) -> Self {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(place)
            .required(required)
            .description(Some(description))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .example(Some(Value::from(example)))
            .build();
        self.builder = self.builder.parameter(parameter);
        self
    }

    /// What may stand behind the `?`.
    pub(crate) fn query<Q: IntoParams>(mut self) -> Self {
        let parameters: Vec<Parameter> = Q::into_params(|| Some(ParameterIn::Query));
        self.builder = parameters.into_iter().fold(self.builder, OperationBuilder::parameter);
        self.faults(&[400])
    }

    /// The body that it takes.
    pub(crate) fn takes<B: ToSchema>(mut self, example: Value) -> Self {
        let content = self.content::<B>(example);
        let body =
            RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True)).build();
        self.builder = self.builder.request_body(Some(body));
        let faults: &[u16] = if self.interface == Interface::AuthZen { &[400, 413] } else { &[400] };
        self.faults(faults)
    }

    /// An answer with a body.
    pub(crate) fn answers<B: ToSchema>(self, status: u16, description: &str, example: Value) -> Self {
        self.answers_as::<B>("application/json", status, description, example)
    }

    /// An answer with a body of a content type.
    pub(crate) fn answers_as<B: ToSchema>(
        mut self,
        content_type: &str,
        status: u16,
        description: &str,
        example: Value,
    ) -> Self {
        let content = self.content::<B>(example);
        let response = ResponseBuilder::new().description(description).content(content_type, content).build();
        self.builder = self.builder.response(status.to_string(), response);
        self
    }

    /// An answer whose type is one for many kinds of items: each kind has a schema of its own.
    pub(crate) fn answers_of<B: ToSchema, Item: ToSchema>(
        mut self,
        name: &str,
        description: &str,
        example: Value,
    ) -> Self {
        self.schemas.extend([(name.to_owned(), B::schema()), (Item::name().into_owned(), Item::schema())]);
        B::schemas(&mut self.schemas);
        Item::schemas(&mut self.schemas);
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(name))).example(Some(example)).build();
        let response = ResponseBuilder::new().description(description).content("application/json", content).build();
        self.builder = self.builder.response("200", response);
        self
    }

    /// An answer without a body.
    pub(crate) fn answers_nothing(mut self, status: u16, description: &str) -> Self {
        let response = ResponseBuilder::new().description(description).build();
        self.builder = self.builder.response(status.to_string(), response);
        self
    }

    /// Of what is only asked so often where no cache has the answer.
    pub(crate) fn limited(self) -> Self {
        self.faults(&[429])
    }

    /// Of what decides: it may be told what its answer must contain, and its answer names the state that it rests on.
    pub(crate) fn decides(self) -> Self {
        self.names_its_state().header(
            "Tiergate-At-Least",
            false,
            "The token of a change or of an earlier answer: the answer is of no older state. One that can't be honoured is an error.",
            EXAMPLE_TOKEN,
        )
    }

    /// Its answer names the state that it rests on.
    pub(crate) fn names_its_state(mut self) -> Self {
        self.names_state = true;
        self
    }

    /// It may need a key.
    pub(super) fn guarded(mut self, access: Access) -> Self {
        let Some(scope) = access.scope() else { return self };
        self.builder = self.builder.security(SecurityRequirement::new(KEY, [scope.label()]));
        self.faults(&[401, 403])
    }

    /// Errors in the interface's shape.
    pub(crate) fn faults(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            if let Some(name) = self.interface.fault(*status) {
                self.builder = self.builder.response(status.to_string(), Ref::from_response_name(name));
            }
        }
        self
    }

    fn content<B: ToSchema>(&mut self, example: Value) -> Content {
        let name = B::name();
        let schema = if is_plain(&name) { B::schema() } else { Ref::from_schema_name(&*name).into() };
        if !is_plain(&name) {
            self.schemas.push((name.into_owned(), B::schema()));
        }
        B::schemas(&mut self.schemas);
        ContentBuilder::new().schema(Some(schema)).example(Some(example)).build()
    }

    /// The operation, and the schemas that it refers to.
    pub(super) fn into_parts(self) -> (utoipa::openapi::path::Operation, Vec<(String, RefOr<Schema>)>) {
        let mut operation = self.builder.build();
        if self.names_state
            && let Some(RefOr::T(response)) = operation.responses.responses.get_mut("200")
        {
            let token = HeaderBuilder::new()
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                .description(Some("Names a state that contains whatever the answer rests on."));
            response.headers.insert("Tiergate-Token".to_owned(), token.build().into());
        }
        (operation, self.schemas)
    }
}

/// Whether it is a type of the language, and has no name that readers know.
fn is_plain(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_uppercase()) || matches!(name, "String" | "Value")
}
