//! The line of champions of a model in an environment.

use super::{
    FormerChampion,
    deployments::Deployed,
    state::{Move, State},
};
use botops_digest::Digest;
use std::collections::BTreeMap;

/// The champions that a model had in an environment: the fold of the moves.
///
/// Of the default environment, the moves that older versions of botops wrote into the model's log come first. Once the
/// deployment log has a move of the champion, it is the only authority: later moves in the model's log do not count.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Champions {
    model: String,
    /// The numbers of the registered versions, by manifest.
    numbers: BTreeMap<Digest, u64>,
    /// All moves, the oldest first.
    moves: Vec<Move>,
    /// The line, the current champion last. A move back to an earlier champion removes those after it, so two rollbacks go
    /// back two champions, and never to a version that was rolled back.
    line: Vec<Digest>,
    /// Every manifest that was ever champion, with the evidence of its latest promotion.
    reigned: BTreeMap<Digest, Option<Digest>>,
    /// The number of the entry of the deployment log that moved the champion last; 0 without one.
    seq: u64,
}

impl Champions {
    /// Folds the moves of `model`: those in `state` if `inherits`, then those of the deployment log.
    pub(super) fn of(
        model: &str,
        state: &State,
        deployed: Option<&Deployed>,
        inherits: bool,
    ) -> Self {
        let mut champions = Self { model: model.to_owned(), ..Self::default() };
        for (number, version) in (1_u64..).zip(&state.versions) {
            // If a log holds a manifest twice, the first number is the one that counts.
            champions.numbers.entry(version.manifest).or_insert(number);
        }
        if inherits {
            let n = inherited(&state.champion_moves, deployed);
            state.champion_moves[..n].iter().for_each(|moved| champions.push(moved.clone()));
        }
        if let Some(deployed) = deployed {
            champions.follow(deployed);
        }
        champions
    }

    /// Adds the moves of `deployed`, the state of the same model in the same environment, that were appended since.
    pub fn follow(&mut self, deployed: &Deployed) {
        let known = self.seq;
        for reign in deployed.reigns.iter().filter(|reign| reign.seq > known) {
            self.seq = reign.seq;
            self.push(Move {
                to: reign.moved.to(),
                evidence: reign.moved.evidence(),
                at: reign.at,
                actor: reign.actor.clone(),
                reason: reign.reason.clone(),
            });
        }
    }

    fn push(&mut self, moved: Move) {
        match self.line.iter().position(|earlier| *earlier == moved.to) {
            Some(place) => self.line.truncate(place + 1),
            None => self.line.push(moved.to),
        }
        self.reigned.insert(moved.to, moved.evidence);
        self.moves.push(moved);
    }

    /// Returns the manifest of the champion; `None` if there was none yet.
    #[must_use]
    pub fn current(&self) -> Option<Digest> {
        self.line.last().copied()
    }

    /// Returns the manifests of the line, the current champion last.
    #[must_use]
    pub fn line(&self) -> &[Digest] {
        &self.line
    }

    /// Returns every manifest that was ever champion, with the evidence of its latest promotion.
    #[must_use]
    pub fn reigned(&self) -> &BTreeMap<Digest, Option<Digest>> {
        &self.reigned
    }

    /// Returns the version with this manifest, if it is or was champion.
    #[must_use]
    pub fn former(&self, manifest: &Digest) -> Option<FormerChampion> {
        let evidence = *self.reigned.get(manifest)?;
        let number = *self.numbers.get(manifest)?;
        Some(FormerChampion { model: self.model.clone(), number, manifest: *manifest, evidence })
    }

    /// Returns the champions before `manifest`, the latest first; none if it is not in the line.
    pub fn before(&self, manifest: &Digest) -> impl Iterator<Item = FormerChampion> {
        let place = self.line.iter().position(|champion| champion == manifest);
        self.line[..place.unwrap_or(0)].iter().rev().filter_map(|manifest| self.former(manifest))
    }

    /// Returns the moves, the oldest first.
    pub(super) fn moves(&self) -> &[Move] {
        &self.moves
    }
}

/// Returns how many of `moves`, those in a model's log, happened before the deployment log became the authority.
///
/// The first move of the deployment log names the champion that it found, so whatever an older botops wrote after that is
/// known without a clock.
pub(super) fn inherited(moves: &[Move], deployed: Option<&Deployed>) -> usize {
    let Some(first) = deployed.and_then(|deployed| deployed.reigns.first()) else {
        return moves.len();
    };
    match first.moved.from() {
        None => 0,
        Some(from) => {
            moves.iter().rposition(|moved| moved.to == from).map_or(moves.len(), |n| n + 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChampionMove, Reign, state::Registered};
    use chrono::{DateTime, Utc};

    const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn state(versions: &[Digest], moves: &[Digest]) -> State {
        let registered =
            |manifest: &Digest| Registered { manifest: *manifest, at: AT, actor: "ada".to_owned() };
        let moved = |to: &Digest| Move {
            to: *to,
            evidence: Some(Digest::of(b"model log")),
            at: AT,
            actor: "ada".to_owned(),
            reason: String::new(),
        };
        State {
            versions: versions.iter().map(registered).collect(),
            champion_moves: moves.iter().map(moved).collect(),
            ..State::default()
        }
    }

    fn deployed(moves: &[(Option<Digest>, Digest)]) -> Deployed {
        let reigns = (1_u64..).zip(moves).map(|(seq, (from, to))| {
            let json = serde_json::json!({"from": from, "to": to, "evidence": Digest::of(b"new")});
            let moved: ChampionMove = serde_json::from_value(json).unwrap();
            Reign { seq, at: AT, actor: "ben".to_owned(), reason: String::new(), moved }
        });
        Deployed { reigns: reigns.collect(), ..Deployed::default() }
    }

    #[test]
    fn the_line_begins_with_the_moves_in_the_log_of_the_model() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|bytes| Digest::of(bytes));
        let old = state(&[a, b, c], &[a, b]);
        let alone = Champions::of("support", &old, None, true);
        assert_eq!((alone.current(), alone.line()), (Some(b), &[a, b][..]));
        let both = Champions::of("support", &old, Some(&deployed(&[(Some(b), c)])), true);
        assert_eq!(both.line(), [a, b, c]);
        assert_eq!(both.former(&c).unwrap().reference(), "support@3");
        let before: Vec<_> = both.before(&c).map(|former| former.manifest()).collect();
        assert_eq!(before, [b, a]);
        // Another environment has champions of its own.
        let other = Champions::of("support", &old, Some(&deployed(&[(None, c)])), false);
        assert_eq!((other.line(), other.former(&a)), (&[c][..], None));
    }

    #[test]
    fn a_later_move_in_the_log_of_the_model_does_not_count() {
        let [a, b, c, stray] = [&b"a"[..], b"b", b"c", b"stray"].map(Digest::of);
        let log = deployed(&[(Some(b), c)]);
        let champions =
            Champions::of("support", &state(&[a, b, c, stray], &[a, b, stray]), Some(&log), true);
        assert_eq!(champions.current(), Some(c));
        assert_eq!(champions.former(&stray), None);
        let first = deployed(&[(None, c)]);
        let champions = Champions::of("support", &state(&[a, c], &[a]), Some(&first), true);
        assert_eq!(champions.line(), [c]);
    }

    #[test]
    fn a_move_back_removes_those_after_it_and_keeps_that_they_were_champion() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|bytes| Digest::of(bytes));
        let mut log = deployed(&[(None, a), (Some(a), b), (Some(b), c)]);
        let mut champions = Champions::of("support", &state(&[a, b, c], &[]), Some(&log), true);
        log.reigns.extend(deployed(&[(Some(c), a)]).reigns.into_iter().map(|mut reign| {
            reign.seq = 9;
            reign
        }));
        champions.follow(&log);
        champions.follow(&log);
        assert_eq!(champions.line(), [a]);
        assert!(champions.former(&c).is_some(), "it was champion, and may be again");
        assert_eq!(champions.before(&a).count(), 0);
    }
}
