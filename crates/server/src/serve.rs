//! The life of the server: take the ports, open the data, serve, end.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use authz::store::{StoreError, SystemWallClock};

use crate::app::App;
use crate::clock_watch;
use crate::config::{self, ConfigError, LogFormat, Settings};
use crate::demo::{self, Summary};
use crate::listener::{ListenError, Port};
use crate::middleware::Edge;
use crate::open::{self, OpenError, Origin};
use crate::router;
use crate::shutdown::{Hangups, Signals, Stop};

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The settings don't allow it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port can't be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is no decision point.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The demo world can't be written.
    #[error("the demo world can't be prepared: {0}; --demo off starts without it")]
    Demo(#[from] demo::PrepareError),
    /// A listener ended although nobody asked it to.
    #[error("the {0} listener ended unexpectedly; see the log above, and start the server again")]
    ListenerDied(&'static str),
    /// The log is lost to this process, and one that is started anew can follow it.
    #[error("{0}; start the server again, and it joins the history that PostgreSQL holds now")]
    Lost(StoreError),
    /// The operating system refuses.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// Serves until a signal ends it, or until only another process can go on.
///
/// # Errors
/// Where it could not start. [`ServeError::Lost`] where PostgreSQL holds another history than the one that was followed: requests that were begun have ended then.
pub async fn serve(settings: Settings) -> Result<(), ServeError> {
    config::require_loopback(&settings)?;
    if let Some(caution) = settings.postgres.caution() {
        tracing::warn!("{caution}");
    }
    let mut signals = Signals::listen()?;
    let mut hangups = Hangups::listen()?;
    // The ports come first: a second server by mistake stops here, before it touches the data.
    let public = Port::take(settings.http.socket(), "--port", "http.port")?;
    let admin = Port::take(settings.admin.socket(), "--admin-port", "admin.port")?;
    let plan = demo::Plan::new(&settings);
    let origin = Origin::open(&settings)?;
    let opened = open::with_tiers(&origin, &settings).await?;
    let demo = tokio::select! {
        demo = plan.carry_out(&opened.decisions, &origin) => demo?,
        () = signals.next() => {
            opened.decisions.close().await;
            tracing::info!("stopped before it was ready; the demo world goes on at the next start");
            return Ok(());
        }
        why = opened.decisions.lost() => {
            opened.decisions.close().await;
            return Err(ServeError::Lost(why));
        }
    };
    let (public, admin) = (public.listen()?, admin.listen()?);
    let public_url =
        settings.http.public_url.clone().unwrap_or_else(|| format!("{}://{}", settings.tls.scheme(), public.address()));
    let app = Arc::new(App::new(opened, settings, public_url));
    let summary = match demo {
        // Its commands show no key.
        Some(store) if !app.credentials.are_required() => {
            Some(Summary::new(&app.decisions, public.address(), store).await.map_err(demo::PrepareError::from)?)
        }
        _ => None,
    };
    announce(&app.settings, public.address(), admin.address(), summary.as_ref());

    let (stop, stopped) = Stop::new();
    let http = &app.settings.http;
    let public_edge = Edge::new(router::public(Arc::clone(&app)), &app);
    let admin_edge = Edge::new(router::admin(Arc::clone(&app)), &app);
    let mut public = tokio::spawn(public.serve(public_edge, http.clone(), app.tls.clone(), stopped.clone()));
    let mut admin = tokio::spawn(admin.serve(admin_edge, http.clone(), app.tls.clone(), stopped));

    let lost = tokio::select! {
        () = signals.next() => None,
        () = hangups.reload(&app) => None,
        () = clock_watch::watch(&app.decisions, &SystemWallClock) => None,
        // All that this process could still say is 503, whoever asks and for however long.
        why = app.decisions.lost() => Some(why),
        // A listener that ends before it is told to has died: a process that lives on without it would only look healthy.
        _ = &mut public => return Err(ServeError::ListenerDied("http")),
        _ = &mut admin => return Err(ServeError::ListenerDied("admin")),
    };
    if let Some(why) = &lost {
        tracing::error!(error = %why, "the log is lost to this process, which ends: its supervisor should start it again");
    }
    let grace = Duration::from_millis(app.settings.shutdown.grace_ms);
    tracing::info!(grace_ms = app.settings.shutdown.grace_ms, "stopping: requests that were begun may end");
    if let Err(error) = signals.insist() {
        tracing::warn!(%error, "a second signal will not end the process at once");
    }
    app.stop();
    stop.now();
    let drained = tokio::time::timeout(grace, async { tokio::join!(public, admin) }).await.is_ok();
    if !drained {
        tracing::warn!("some requests did not end within shutdown.grace_ms");
    }
    app.access_log.close().await;
    app.decisions.close().await;
    tracing::info!("stopped");
    match lost {
        None => Ok(()),
        Some(why) => Err(ServeError::Lost(why)),
    }
}

/// Tells people where to go on, and machines that it has begun.
fn announce(settings: &Settings, public: SocketAddr, admin: SocketAddr, summary: Option<&Summary>) {
    tracing::info!(%public, %admin, version = env!("CARGO_PKG_VERSION"), "serving");
    if settings.log.format == LogFormat::Json {
        return;
    }
    let data = match &settings.postgres.url {
        Some(_) => format!("PostgreSQL, schema {}", settings.postgres.schema),
        None => settings.data.directory.display().to_string(),
    };
    let scheme = settings.tls.scheme();
    let mut text = format!(
        "tiergate {} is ready\n  decisions       {scheme}://{public}\n  administration  {scheme}://{admin}\n  data            {data}\n",
        env!("CARGO_PKG_VERSION"),
    );
    for (what, command) in summary.iter().flat_map(|summary| summary.lines()) {
        text.push_str(&format!("\n# {what}\n{command}\n"));
    }
    // Where nobody reads, nobody misses it.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
