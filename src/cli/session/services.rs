//! The services that a pipeline works with, made from the settings in force.

use super::{
    context::Context,
    following::{Following, Until},
    pdf_reader,
    promoter::Promotion,
    provenance,
};
use botops_findings::Result;
use botops_pipelines::{Listener, Services};

/// Calls `act` with the services of a pipeline; `listener` receives its events.
pub(crate) fn with_services<T>(
    context: &Context,
    listener: &dyn Listener,
    act: impl FnOnce(&Services<'_>) -> Result<T>,
) -> Result<T> {
    let workspace = context.workspace()?;
    let (registry, experiments) = (context.registry()?, context.experiments()?);
    // A pipeline has a screen of its own, and attends to signals.
    let following =
        Following { until: Until::Promoted, timeout: None, is_live: false, ends_on_signal: false };
    let promoter = Promotion::of(context, following, false)?;
    let encoders = context.encoders()?;
    act(&Services {
        root: workspace.root.clone(),
        registry: &registry,
        experiments: &experiments,
        encoders: &encoders,
        pdf: pdf_reader::of_this_program(),
        promoter: &promoter,
        clock: &provenance::now,
        actor: workspace.actor.value.clone(),
        code: provenance::code_state(&workspace.root),
        environment: provenance::environment(),
        listener,
    })
}
