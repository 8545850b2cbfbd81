//! The relationships of the demo world, drawn from one seed.

use crate::relation::{Object, Subject, Text, Tuple};

/// How much there is of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Users.
    pub users: usize,
    /// Teams; the largest has a tenth of the users.
    pub teams: usize,
    /// Projects.
    pub projects: usize,
    /// Generations.
    pub generations: usize,
    /// Media files.
    pub media: usize,
}

impl Size {
    /// The world of a newcomer: about 300,000 relationships.
    pub const FULL: Self = Self { users: 10_000, teams: 1_000, projects: 5_000, generations: 100_000, media: 20_000 };
    /// A fiftieth of it, for tests.
    pub const SMALL: Self = Self { users: 200, teams: 20, projects: 100, generations: 2_000, media: 400 };
}

/// The seed of everything here. Another one would be another world: what is measured on it could not be compared.
const SEED: u64 = 0x7469_6572_6761_7465;
/// One user in this many is suspended.
const SUSPENDED_ONE_IN: usize = 100;
/// One project in this many is public.
const PUBLIC_ONE_IN: usize = 12;
/// One team in this many is a member of a larger one.
const NESTED_ONE_IN: usize = 4;

/// The demo world.
#[derive(Clone, Debug)]
pub struct World {
    size: Size,
    members: Vec<Vec<u32>>,
    projects: Vec<Project>,
    generations: Vec<Generation>,
}

#[derive(Clone, Debug)]
struct Project {
    owner: u32,
    viewers: Vec<u32>,
    editors: Vec<u32>,
    public: bool,
}

#[derive(Clone, Copy, Debug)]
struct Generation {
    project: u32,
    creator: u32,
}

/// A question that somebody on the platform would ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who,
    pub subject: Subject,
    /// may do what,
    pub relation: Text,
    /// on what?
    pub object: Object,
}

impl World {
    /// The world of this size. The same each time.
    #[must_use]
    pub fn new(size: Size) -> Self {
        let mut rng = fastrand::Rng::with_seed(SEED);
        let members = (0..size.teams)
            .map(|team| {
                let count = (size.users / 10 / (team + 1)).max(3).min(size.users);
                let mut members: Vec<u32> = (0..count).map(|_| rng.u32(0..size.users as u32)).collect();
                members.sort_unstable();
                members.dedup();
                members
            })
            .collect();
        let projects: Vec<Project> = (0..size.projects)
            .map(|_| Project {
                owner: rng.u32(0..size.users as u32),
                viewers: teams(&mut rng, size.teams, 2),
                editors: teams(&mut rng, size.teams, 1),
                public: rng.usize(0..PUBLIC_ONE_IN) == 0,
            })
            .collect();
        let mut world = Self { size, members, projects, generations: Vec::with_capacity(size.generations) };
        for _ in 0..size.generations {
            let project = zipf(&mut rng, size.projects) as u32;
            let creator = world.somebody_in(&mut rng, project);
            world.generations.push(Generation { project, creator });
        }
        world
    }

    /// Its size.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// All relationships, those of the tour first.
    pub fn tuples(&self) -> impl Iterator<Item = Tuple> + Send + '_ {
        let platform = || object("platform", "main");
        let tour = [
            tuple(object("team", "studio"), "member", user_named("ann")),
            tuple(object("project", "launch"), "platform", Subject::Object(platform())),
            tuple(object("project", "launch"), "owner", user_named("lee")),
            tuple(object("project", "launch"), "viewer", members_of("studio")),
            tuple(object("generation", "teaser"), "project", Subject::Object(object("project", "launch"))),
            tuple(object("generation", "teaser"), "creator", user_named("lee")),
        ];
        let suspended = (0..self.size.users)
            .step_by(SUSPENDED_ONE_IN)
            .map(move |number| tuple(platform(), "suspended", user(number as u32)));
        let members = self.members.iter().enumerate().flat_map(|(team, members)| {
            let nested = (team > 0 && team % NESTED_ONE_IN == 0)
                .then(|| tuple(named("team", team / NESTED_ONE_IN), "member", members_of(&number("team", team))));
            members.iter().map(move |member| tuple(named("team", team), "member", user(*member))).chain(nested)
        });
        let projects = self.projects.iter().enumerate().flat_map(|(project, shape)| shape.tuples(project));
        let generations = self.generations.iter().enumerate().flat_map(|(number, Generation { project, creator })| {
            let generation = named("generation", number);
            [
                tuple(generation.clone(), "project", Subject::Object(named("project", *project as usize))),
                tuple(generation, "creator", user(*creator)),
            ]
        });
        let media = (0..self.size.media).map(|number| {
            let generation = number * (self.size.generations / self.size.media.max(1)).max(1);
            tuple(named("media", number), "generation", Subject::Object(named("generation", generation)))
        });
        tour.into_iter().chain(suspended).chain(members).chain(projects).chain(generations).chain(media)
    }

    /// An endless row of questions as the platform would ask them: a popular generation, and mostly somebody who has to do with its project.
    pub fn questions(&self, seed: u64) -> impl Iterator<Item = Question> + Send + '_ {
        let mut rng = fastrand::Rng::with_seed(SEED ^ seed);
        std::iter::repeat_with(move || {
            let number = zipf(&mut rng, self.size.generations);
            let Generation { project, creator } = self.generations[number];
            let who = match rng.u32(0..10) {
                0 => creator,
                1..=6 => self.somebody_in(&mut rng, project),
                _ => rng.u32(0..self.size.users as u32),
            };
            let relation = if rng.u32(0..4) == 0 { "can_edit" } else { "can_view" };
            Question { subject: user(who), relation: relation.into(), object: named("generation", number) }
        })
    }

    fn somebody_in(&self, rng: &mut fastrand::Rng, project: u32) -> u32 {
        let Project { owner, viewers, editors, .. } = &self.projects[project as usize];
        match rng.choice(viewers.iter().chain(editors).collect::<Vec<_>>()) {
            Some(team) => self.members[*team as usize].get(rng.usize(0..self.members[*team as usize].len())).copied(),
            None => None,
        }
        .unwrap_or(*owner)
    }
}

impl Project {
    fn tuples(&self, project: usize) -> Vec<Tuple> {
        let Self { owner, viewers, editors, public } = self;
        let this = || named("project", project);
        let mut tuples = vec![
            tuple(this(), "platform", Subject::Object(object("platform", "main"))),
            tuple(this(), "owner", user(*owner)),
        ];
        tuples.extend(viewers.iter().map(|team| tuple(this(), "viewer", members_of(&number("team", *team as usize)))));
        tuples.extend(editors.iter().map(|team| tuple(this(), "editor", members_of(&number("team", *team as usize)))));
        if *public {
            tuples.push(tuple(this(), "viewer", Subject::Wildcard { type_name: "user".into() }));
        }
        tuples
    }
}

/// A rank from 0 on, the first ones most often: the inverse of the distribution function of Zipf's law with exponent 1, without its
/// last digit of exactness.
fn zipf(rng: &mut fastrand::Rng, count: usize) -> usize {
    (((count as f64 + 1.0).powf(rng.f64())) as usize - 1).min(count - 1)
}

fn teams(rng: &mut fastrand::Rng, count: usize, most: usize) -> Vec<u32> {
    let mut teams: Vec<u32> = (0..rng.usize(0..=most)).map(|_| rng.u32(0..count as u32)).collect();
    teams.sort_unstable();
    teams.dedup();
    teams
}

fn number(kind: &str, number: usize) -> String {
    format!("{}{number}", &kind[..1])
}

fn named(kind: &str, at: usize) -> Object {
    object(kind, &number(kind, at))
}

fn object(kind: &str, id: &str) -> Object {
    Object { type_name: kind.into(), id: id.into() }
}

fn user(number: u32) -> Subject {
    Subject::Object(named("user", number as usize))
}

fn user_named(id: &str) -> Subject {
    Subject::Object(object("user", id))
}

fn members_of(team: &str) -> Subject {
    Subject::Userset { object: object("team", team), relation: "member".into() }
}

fn tuple(object: Object, relation: &str, subject: Subject) -> Tuple {
    Tuple { object, relation: relation.into(), subject }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_is_the_same_each_time() {
        let (one, two) = (World::new(Size::SMALL), World::new(Size::SMALL));
        assert!(one.tuples().eq(two.tuples()));
        assert!(one.questions(1).take(100).eq(two.questions(1).take(100)));
        assert!(!one.questions(1).take(100).eq(two.questions(2).take(100)));
    }

    #[test]
    fn every_relationship_fits_the_model() {
        let model = super::super::model();
        for tuple in World::new(Size::SMALL).tuples() {
            crate::decide::validate_relationship(&tuple.into(), &model).unwrap();
        }
    }

    #[test]
    fn popular_ranks_come_first() {
        let mut rng = fastrand::Rng::with_seed(1);
        let first = (0..10_000).filter(|_| zipf(&mut rng, 1_000) < 10).count();
        assert!((2_500..4_500).contains(&first), "{first} of 10,000 draws fell on the first percent");
    }
}
