//! The kinds of requests, and who sends which.

use crate::profile::MixSpec;
use serde::Serialize;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `POST /v1/chat`.
    Chat,
    /// `POST /v1/predict`.
    Predict,
    /// A message over `GET /v1/ws`.
    Websocket,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Predict, Self::Websocket];

    /// Returns the name, as in profiles.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Predict => "predict",
            Self::Websocket => "websocket",
        }
    }

    /// Returns its place in [`Kind::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

impl MixSpec {
    /// Returns the share of `kind`, in the unit of the profile.
    #[must_use]
    pub fn share(self, kind: Kind) -> u32 {
        match kind {
            Kind::Chat => self.chat,
            Kind::Predict => self.predict,
            Kind::Websocket => self.websocket,
        }
    }

    /// Returns the kind of user or request `i`, so that any number of neighbours has about the shares of the mix.
    ///
    /// The fractional part of (i + 1/2) times the golden ratio is spread evenly (a Weyl sequence).
    #[must_use]
    pub fn kind(self, i: u64) -> Kind {
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        let total: f64 = Kind::ALL.iter().map(|kind| f64::from(self.share(*kind))).sum();
        let mut left = ((i as f64 + 0.5) * GOLDEN).fract() * total;
        let mut last = Kind::Chat;
        for kind in Kind::ALL.into_iter().filter(|kind| self.share(*kind) > 0) {
            last = kind;
            left -= f64::from(self.share(kind));
            if left < 0.0 {
                break;
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_neighbours_have_the_shares_of_the_mix() {
        let mix = MixSpec { chat: 6, predict: 3, websocket: 1 };
        for (from, n) in [(0, 10_u64), (17, 20), (1_000, 200)] {
            let count = |kind| (from..from + n).filter(|i| mix.kind(*i) == kind).count() as f64;
            for (kind, share) in [(Kind::Chat, 0.6), (Kind::Predict, 0.3), (Kind::Websocket, 0.1)] {
                assert!((count(kind) - share * n as f64).abs() <= 2.0, "{from} {n} {kind:?}");
            }
        }
        let one = MixSpec { chat: 0, predict: 5, websocket: 0 };
        assert!((0..1_000).all(|i| one.kind(i) == Kind::Predict));
    }
}
