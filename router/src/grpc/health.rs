//! The standard health service. Each service is as ready as the collections
//! are, and none is while the process stops, so that a balancer sends nothing
//! more.

use std::sync::Arc;
use std::time::Duration;

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::server::App;

/// The server as a whole, and what it serves to clients.
const SERVICES: [&str; 3] = ["", "quoit.v1.Points", "quoit.v1.Collections"];

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);

/// Tells of readiness until `stop` resolves, and from then on of none.
pub(crate) async fn follow(
    app: Arc<App>,
    reporter: HealthReporter,
    stop: impl Future<Output = ()>,
) {
    let mut told = None;
    let follow = async {
        loop {
            let ready = app.catalog.ready();
            if told != Some(ready) {
                tell(&reporter, ready).await;
                told = Some(ready);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = follow => {}
        () = stop => {}
    }
    tell(&reporter, false).await;
}

async fn tell(reporter: &HealthReporter, ready: bool) {
    let status = if ready {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}
