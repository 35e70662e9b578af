//! The settings of the prediction log.

use super::{Sources, tidy};
use crate::{origin::Origin, settings::Setting, spec::PredictionsSpec};

/// The folder where nobody names one, from the folder of `botops.yaml`.
const FOLDER: &str = ".botops/predictions";

impl Sources<'_> {
    /// Returns the setting `predictions.<key>`.
    pub(super) fn of_predictions(
        &self,
        key: &str,
        default: &str,
        of: impl Fn(&PredictionsSpec) -> Option<&String>,
    ) -> Setting<String> {
        let key = format!("predictions.{key}");
        self.written(&key, |profile| of(&profile.predictions), |file| of(&file.predictions))
            .unwrap_or_else(|| Setting { value: default.to_owned(), origin: Origin::Default })
    }

    /// Returns the folder, as an absolute path.
    pub(super) fn predictions_folder(&self) -> Setting<String> {
        let Setting { value, origin } =
            self.of_predictions("folder", FOLDER, |it| it.folder.as_ref());
        Setting { value: tidy(&self.root.join(value)).display().to_string(), origin }
    }
}
