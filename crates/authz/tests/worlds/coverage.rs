//! What the worlds have covered: a run that never met a wildcard or never served from a cache proves less than it seems to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::reference::{Answer, Operator};

/// Depths from here on are counted together.
const DEEPEST: usize = 8;

/// Counts over many worlds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) worlds: usize,
    pub(crate) worlds_with: BTreeMap<Operator, usize>,
    pub(crate) worlds_on_disk: usize,
    pub(crate) worlds_with_concurrency: usize,
    pub(crate) worlds_of_depth_4: usize,
    pub(crate) worlds_with_a_raised_floor: usize,
    pub(crate) changes: usize,
    /// Comparisons of an answer of the cached decision point with the uncached one's.
    pub(crate) compared: usize,
    /// Answers that came while changes were under way.
    pub(crate) concurrent: usize,
    /// Questions with relationships of their own, or of an older model.
    pub(crate) digressions: usize,
    pub(crate) allowed: usize,
    pub(crate) answered: usize,
    pub(crate) by_depth: [usize; DEEPEST + 1],
    pub(crate) cut_short_by_cycles: usize,
    /// Questions without an answer because a condition lacked something.
    pub(crate) unknown: usize,
    /// Answers that differed from the ones before the last change.
    pub(crate) altered: usize,
    /// Second answers that came from a tier.
    pub(crate) again_from_cache: usize,
    pub(crate) asked_again: usize,
    /// First answers that came from a tier, where a change lay in between.
    pub(crate) first_from_cache: usize,
    pub(crate) coarsened: usize,
    pub(crate) with_read_set: usize,
    /// Comparisons of a list of the cached decision point, twice, with the uncached one's.
    pub(crate) lists: usize,
    /// Those that were no error.
    pub(crate) lists_answered: usize,
    pub(crate) lists_with_items: usize,
    /// Those that were what the reference allows of all objects.
    pub(crate) lists_by_reference: usize,
    /// First and second ones that came from a tier; in most cases a change lay before the first.
    pub(crate) lists_first_from_cache: usize,
    pub(crate) lists_again_from_cache: usize,
    /// Questions without an answer, by what the error says.
    pub(crate) refused: BTreeMap<String, usize>,
    pub(crate) probes: u64,
    pub(crate) hits: u64,
}

/// What one world adds.
#[derive(Default)]
pub(crate) struct WorldCoverage {
    pub(crate) operators: BTreeSet<Operator>,
    pub(crate) depth: usize,
}

impl WorldCoverage {
    pub(crate) fn add(&mut self, answer: &Answer) {
        self.operators.extend(answer.operators.iter().copied());
        self.depth = self.depth.max(answer.depth);
    }
}

impl Coverage {
    pub(crate) fn answered(&mut self, answer: &Answer) {
        self.answered += 1;
        self.allowed += usize::from(answer.allowed());
        self.cut_short_by_cycles += usize::from(answer.value.is_none());
        self.by_depth[answer.depth.min(DEEPEST)] += 1;
    }

    pub(crate) fn end_world(&mut self, world: &WorldCoverage) {
        self.worlds += 1;
        self.worlds_of_depth_4 += usize::from(world.depth >= 4);
        for operator in &world.operators {
            *self.worlds_with.entry(*operator).or_default() += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let Self {
            worlds,
            worlds_with,
            worlds_on_disk,
            worlds_with_concurrency,
            worlds_of_depth_4,
            worlds_with_a_raised_floor,
            changes,
            compared,
            concurrent,
            digressions,
            allowed,
            answered,
            by_depth,
            cut_short_by_cycles,
            unknown,
            altered,
            again_from_cache,
            asked_again,
            first_from_cache,
            coarsened,
            with_read_set,
            lists,
            lists_answered,
            lists_with_items,
            lists_by_reference,
            lists_first_from_cache,
            lists_again_from_cache,
            refused,
            probes,
            hits,
        } = other;
        self.worlds += worlds;
        self.worlds_on_disk += worlds_on_disk;
        self.worlds_with_concurrency += worlds_with_concurrency;
        self.worlds_of_depth_4 += worlds_of_depth_4;
        self.worlds_with_a_raised_floor += worlds_with_a_raised_floor;
        self.changes += changes;
        self.compared += compared;
        self.concurrent += concurrent;
        self.digressions += digressions;
        self.allowed += allowed;
        self.answered += answered;
        self.cut_short_by_cycles += cut_short_by_cycles;
        self.unknown += unknown;
        self.altered += altered;
        self.again_from_cache += again_from_cache;
        self.asked_again += asked_again;
        self.first_from_cache += first_from_cache;
        self.coarsened += coarsened;
        self.with_read_set += with_read_set;
        self.lists += lists;
        self.lists_answered += lists_answered;
        self.lists_with_items += lists_with_items;
        self.lists_by_reference += lists_by_reference;
        self.lists_first_from_cache += lists_first_from_cache;
        self.lists_again_from_cache += lists_again_from_cache;
        self.probes += probes;
        self.hits += hits;
        for (sum, count) in self.by_depth.iter_mut().zip(by_depth) {
            *sum += count;
        }
        for (operator, count) in worlds_with {
            *self.worlds_with.entry(*operator).or_default() += count;
        }
        for (why, count) in refused {
            *self.refused.entry(why.clone()).or_default() += count;
        }
    }

    /// The share of the worlds in which an operator was met, in percent.
    pub(crate) fn share_with(&self, operator: Operator) -> usize {
        percent(self.worlds_with.get(&operator).copied().unwrap_or(0), self.worlds)
    }

    /// The share of allows, in percent.
    pub(crate) fn share_allowed(&self) -> usize {
        percent(self.allowed, self.answered)
    }

    /// That the worlds are what they are meant to be. Few worlds may miss it by chance.
    pub(crate) fn assert_wide(&self) {
        for operator in Operator::ALL {
            let share = self.share_with(operator);
            assert!(share >= 30, "{operator:?} was met in {share} % of the worlds only:\n{self}");
        }
        assert!((20..=80).contains(&self.share_allowed()), "allows and denies must both be common:\n{self}");
        assert!(percent(self.worlds_of_depth_4, self.worlds) >= 30, "too many worlds are shallow:\n{self}");
        assert!(self.changes >= 10 * self.worlds, "too few changes:\n{self}");
        assert!(percent(self.again_from_cache, self.asked_again) >= 50, "the cache must answer:\n{self}");
        assert!(percent(self.first_from_cache, self.answered) >= 20, "warm answers must be judged:\n{self}");
        assert!(self.coarsened > 0 && self.worlds_with_a_raised_floor > 0 && self.cut_short_by_cycles > 0, "{self}");
        let listed = |count: usize| percent(count, self.lists_answered);
        assert!(listed(self.lists_again_from_cache) >= 50, "the cache must answer lists:\n{self}");
        assert!(listed(self.lists_first_from_cache) >= 10, "warm lists must be judged:\n{self}");
        assert!(listed(self.lists_with_items) >= 20 && self.lists_by_reference >= self.worlds, "{self}");
        assert!(self.concurrent > 0 && self.altered > 0 && self.unknown > 0, "{self}");
    }
}

fn percent(part: usize, of: usize) -> usize {
    (part * 100).checked_div(of).unwrap_or(0)
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worlds = |count: usize| format!("{count} ({} %)", percent(count, self.worlds));
        writeln!(f, "worlds                         {}", self.worlds)?;
        for operator in Operator::ALL {
            let count = self.worlds_with.get(&operator).copied().unwrap_or(0);
            writeln!(f, "  with {:<24}  {}", format!("{operator:?}"), worlds(count))?;
        }
        writeln!(f, "  four or more objects deep      {}", worlds(self.worlds_of_depth_4))?;
        writeln!(f, "  with questions during changes  {}", worlds(self.worlds_with_concurrency))?;
        writeln!(f, "  whose horizon forgot           {}", worlds(self.worlds_with_a_raised_floor))?;
        writeln!(f, "  on SQLite                      {}", worlds(self.worlds_on_disk))?;
        writeln!(f, "changes                        {}", self.changes)?;
        writeln!(f, "answers compared               {}", self.compared)?;
        writeln!(f, "  while changes were under way   {}", self.concurrent)?;
        writeln!(f, "questions of their own kind    {}", self.digressions)?;
        let answered = |count: usize| format!("{count} ({} %)", percent(count, self.answered));
        writeln!(f, "questions by the reference     {}", self.answered)?;
        writeln!(f, "  allowed                        {}", answered(self.allowed))?;
        writeln!(f, "  altered by the last change     {}", answered(self.altered))?;
        writeln!(f, "  open because of a cycle        {}", answered(self.cut_short_by_cycles))?;
        writeln!(f, "  unknown for want of a value    {}", answered(self.unknown))?;
        writeln!(f, "  first answer from a tier       {}", answered(self.first_from_cache))?;
        let again = percent(self.again_from_cache, self.asked_again);
        writeln!(f, "  second answer from a tier      {} ({again} %)", self.again_from_cache)?;
        let coarsened = percent(self.coarsened, self.with_read_set);
        writeln!(f, "  read set coarsened             {} ({coarsened} %)", self.coarsened)?;
        let listed = |count: usize| format!("{count} ({} %)", percent(count, self.lists_answered));
        writeln!(f, "lists compared                 {}", self.lists)?;
        writeln!(f, "  without an error             {}", self.lists_answered)?;
        writeln!(f, "  with items                   {}", listed(self.lists_with_items))?;
        writeln!(f, "  compared with the reference  {}", listed(self.lists_by_reference))?;
        writeln!(f, "  first list from a tier       {}", listed(self.lists_first_from_cache))?;
        writeln!(f, "  second list from a tier      {}", listed(self.lists_again_from_cache))?;
        let hits = percent(self.hits as usize, self.probes as usize);
        writeln!(f, "look-ups in the tier           {}, of which {hits} % hit", self.probes)?;
        write!(f, "objects in a row              ")?;
        for (depth, count) in self.by_depth.iter().enumerate() {
            let more = if depth == DEEPEST { "+" } else { "" };
            write!(f, " {depth}{more}: {} %", percent(*count, self.answered))?;
        }
        for (why, count) in &self.refused {
            write!(f, "\nno answer                      {count}: {why}")?;
        }
        Ok(())
    }
}
