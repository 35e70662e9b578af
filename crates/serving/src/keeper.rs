//! The server, as its listeners see it: its clock, its log, its metrics, and the form of its refusals.

use crate::{app::App, exchange::Exchange, problem::Problem};
use axum::{http::StatusCode, response::Response};
use botops_connections::{ConnectionMetrics, Keeper};
use botops_findings::Fault;
use chrono::{DateTime, Utc};

impl Keeper for App {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn event(&self, level: &'static str, name: &'static str, message: String) {
        self.log.event(self.clock.now(), level, name, message);
    }

    fn metrics(&self) -> &ConnectionMetrics {
        &self.metrics.connections
    }

    fn refuse(&self, status: StatusCode, fault: Fault) -> Response {
        Exchange::begin(self, "unknown").refuse(Problem::new(status, fault), None)
    }

    fn problem(&self, status: StatusCode, fault: &Fault) -> String {
        Problem::document_of(status, fault)
    }
}
