//! What the server rests on besides its origin: asked for its health, and done without where it fails.

use std::sync::Arc;

use async_trait::async_trait;

/// A part that the server can do without for a while: decisions then come from the other tiers and the origin.
#[async_trait]
pub trait Dependency: Send + Sync + 'static {
    /// Its name, as health checks show it.
    fn name(&self) -> &'static str;

    /// Whether it answers; the message is for an operator, and holds no secret.
    async fn check(&self) -> Result<(), String>;
}

/// All of them.
#[derive(Clone, Default)]
pub struct Dependencies(Vec<Arc<dyn Dependency>>);

impl Dependencies {
    /// Adds one.
    pub fn add(&mut self, dependency: Arc<dyn Dependency>) {
        self.0.push(dependency);
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn Dependency> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl std::fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(Dependency::name)).finish()
    }
}
