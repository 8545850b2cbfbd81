//! The laws, for the fake tiers themselves, for chains of two, and for every wrapper around a tier.

use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::{FakeLayer, Fixture, Setting, SharedLayer};
use cache_core::wrap::{Deadline, Late, Switch};
use cache_core::{CacheLayer, Clock};

const LIMIT_BYTES: usize = 10_000;

fn remote(name: &'static str) -> FakeLayer {
    FakeLayer::remote(name).max_value_bytes(LIMIT_BYTES)
}

fn dead(name: &'static str) -> FakeLayer {
    let layer = FakeLayer::remote(name);
    layer.fail_when(|_| true);
    layer
}

fn limited(layer: FakeLayer, setting: &Setting) -> impl CacheLayer<cache_core::testing::TestValue> {
    Deadline::new(layer, Duration::from_secs(1), Arc::clone(&setting.clock) as Arc<dyn Clock>)
}

#[derive(Default)]
struct Local;

impl Fixture for Local {
    async fn layer(&self, _: &Setting) -> SharedLayer {
        SharedLayer::new(FakeLayer::local("local").max_value_bytes(LIMIT_BYTES))
    }

    fn too_large(&self) -> Option<usize> {
        Some(LIMIT_BYTES + 1)
    }
}

#[derive(Default)]
struct Remote;

impl Fixture for Remote {
    async fn layer(&self, _: &Setting) -> SharedLayer {
        SharedLayer::new(remote("remote").durable())
    }

    fn too_large(&self) -> Option<usize> {
        Some(LIMIT_BYTES + 1)
    }

    async fn unreachable(&self, _: &Setting) -> Option<SharedLayer> {
        Some(SharedLayer::new(dead("remote")))
    }
}

#[derive(Default)]
struct RemoteBehindLocal;

impl Fixture for RemoteBehindLocal {
    async fn layer(&self, _: &Setting) -> SharedLayer {
        SharedLayer::new(remote("remote"))
    }

    fn above(&self, _: &Setting) -> Vec<SharedLayer> {
        vec![SharedLayer::new(FakeLayer::local("local"))]
    }
}

#[derive(Default)]
struct LocalBeforeRemote;

impl Fixture for LocalBeforeRemote {
    async fn layer(&self, _: &Setting) -> SharedLayer {
        SharedLayer::new(FakeLayer::local("local"))
    }

    fn below(&self, _: &Setting) -> Vec<SharedLayer> {
        vec![SharedLayer::new(FakeLayer::remote("remote"))]
    }
}

#[derive(Default)]
struct RemoteWithDeadline;

impl Fixture for RemoteWithDeadline {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        SharedLayer::new(limited(remote("remote"), setting))
    }

    fn too_large(&self) -> Option<usize> {
        Some(LIMIT_BYTES + 1)
    }

    async fn unreachable(&self, setting: &Setting) -> Option<SharedLayer> {
        Some(SharedLayer::new(limited(dead("remote"), setting)))
    }
}

#[derive(Default)]
struct RemoteWithSwitch;

impl Fixture for RemoteWithSwitch {
    async fn layer(&self, _: &Setting) -> SharedLayer {
        SharedLayer::new(Switch::new(remote("remote")).0)
    }

    fn too_large(&self) -> Option<usize> {
        Some(LIMIT_BYTES + 1)
    }

    async fn unreachable(&self, _: &Setting) -> Option<SharedLayer> {
        Some(SharedLayer::new(Switch::new(dead("remote")).0))
    }
}

#[derive(Default)]
struct RemoteThatCameLater;

impl Fixture for RemoteThatCameLater {
    async fn layer(&self, _: &Setting) -> SharedLayer {
        SharedLayer::new(later(remote("remote")))
    }

    fn too_large(&self) -> Option<usize> {
        Some(LIMIT_BYTES + 1)
    }

    async fn unreachable(&self, _: &Setting) -> Option<SharedLayer> {
        Some(SharedLayer::new(later(dead("remote"))))
    }
}

fn later(tier: FakeLayer) -> Late<FakeLayer> {
    let (late, handle) = Late::new(tier.name(), tier.capabilities());
    assert!(handle.put(tier));
    late
}

#[derive(Default)]
struct LocalWithDeadlineAndSwitch;

impl Fixture for LocalWithDeadlineAndSwitch {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        SharedLayer::new(Switch::new(limited(FakeLayer::local("local"), setting)).0)
    }
}

mod local {
    cache_core::conformance!(super::Local);
}

mod remote {
    cache_core::conformance!(super::Remote);
}

mod remote_behind_local {
    cache_core::conformance!(super::RemoteBehindLocal);
}

mod local_before_remote {
    cache_core::conformance!(super::LocalBeforeRemote);
}

mod remote_with_deadline {
    cache_core::conformance!(super::RemoteWithDeadline);
}

mod remote_with_switch {
    cache_core::conformance!(super::RemoteWithSwitch);
}

mod remote_that_came_later {
    cache_core::conformance!(super::RemoteThatCameLater);
}

mod local_with_deadline_and_switch {
    cache_core::conformance!(super::LocalWithDeadlineAndSwitch);
}
