//! Actors as plain functions, and every way in which their calls of the store can go.
//!
//! An actor is written as it is in the registry: one call after the other. It is run anew from its beginning for each of its steps, with
//! the answers that it had so far, up to the call that it has not made yet. So its state is the list of those answers.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};

use crate::explore::Explorable;

/// An id that no other actor and no other operation uses.
pub(crate) type Id = u8;

/// What an actor waits for.
#[derive(Clone, Debug)]
pub(crate) enum Stop<O> {
    /// A call of the store.
    Call(O),
    /// A choice among so many.
    Choose(u8),
}

/// What a part of an actor answers, unless it has to wait.
pub(crate) type Run<T, O> = Result<T, Stop<O>>;

/// An answer that an actor had.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer<A> {
    /// Of the store.
    Got(A),
    /// The store did not answer: the call may have taken effect, or may do so later.
    Failed,
    /// A choice.
    Chosen(u8),
}

/// An actor's way to the store, while it is run anew.
#[derive(Debug)]
pub(crate) struct Io<'a, O, A> {
    answers: std::slice::Iter<'a, Answer<A>>,
    next_id: Id,
    last_id: Id,
    call: std::marker::PhantomData<O>,
}

/// The store did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

impl<O, A: Clone> Io<'_, O, A> {
    /// Makes a call.
    ///
    /// # Errors
    /// When it has not been answered yet.
    pub(crate) fn call(&mut self, call: O) -> Run<Result<A, Failed>, O> {
        match self.answers.next() {
            None => Err(Stop::Call(call)),
            Some(Answer::Got(answer)) => Ok(Ok(answer.clone())),
            Some(_) => Ok(Err(Failed)),
        }
    }

    /// One of `n` possibilities.
    ///
    /// # Errors
    /// When it has not been chosen yet.
    pub(crate) fn choose(&mut self, n: u8) -> Run<u8, O> {
        match self.answers.next() {
            None => Err(Stop::Choose(n)),
            Some(Answer::Chosen(choice)) => Ok(*choice),
            Some(_) => Ok(0),
        }
    }

    /// A fresh id.
    pub(crate) fn id(&mut self) -> Id {
        self.next_id += 1;
        assert!(self.next_id <= self.last_id, "an operation that takes more ids than it may");
        self.next_id
    }

    /// The id that comes next.
    pub(crate) fn peek(&self) -> Id {
        self.next_id + 1
    }
}

/// What actors share, and what they do.
pub(crate) trait Protocol {
    /// The store.
    type Store: Clone + Hash + Debug;
    /// A call of it.
    type Call: Copy + Debug;
    /// An answer of it.
    type Answer: Clone + Eq + Hash + Debug;

    /// The store at the beginning.
    fn store(&self) -> Self::Store;

    /// How many operations each actor does, one after the other.
    fn programs(&self) -> Vec<usize>;

    /// Runs operation `at` of an actor. Answers whether the actor goes on with its next one.
    ///
    /// # Errors
    /// When it waits.
    fn run(&self, actor: usize, at: usize, io: &mut Io<'_, Self::Call, Self::Answer>) -> Run<bool, Self::Call>;

    /// What a call does.
    fn apply(&self, store: &mut Self::Store, call: Self::Call) -> Self::Answer;

    /// Whether a call changes the store.
    fn is_write(&self, call: Self::Call) -> bool;

    /// Checks the store in any state.
    ///
    /// # Errors
    /// What is violated.
    fn check(&self, store: &Self::Store) -> Result<(), String>;

    /// Checks what is left when all actors have ended.
    ///
    /// # Errors
    /// What is violated.
    fn check_rest(&self, store: &Self::Store, faults: Faults) -> Result<(), String>;
}

/// What may go wrong, at most; or what did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    /// Actors that stop between two calls.
    pub(crate) crashes: u8,
    /// Writes that are not answered, or take effect later, or both.
    pub(crate) losses: u8,
}

/// An actor.
#[derive(Clone, Debug)]
struct Actor<P: Protocol> {
    /// Which of its operations it is at; `None` when it has ended.
    at: Option<usize>,
    answers: Vec<Answer<P::Answer>>,
    /// The call that it makes next; follows from the rest.
    next: Option<P::Call>,
}

/// A state.
#[derive(Clone, Debug)]
pub(crate) struct State<P: Protocol> {
    store: P::Store,
    actors: Vec<Actor<P>>,
    /// Writes that may take effect at any time, as text for their order and with the call.
    late: Vec<P::Call>,
    used: Faults,
    /// How it was reached, for a trace. No part of its identity.
    last: Option<(usize, P::Call, &'static str)>,
}

impl<P: Protocol> Hash for State<P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.store.hash(state);
        self.used.hash(state);
        for actor in &self.actors {
            (actor.at, &actor.answers).hash(state);
        }
        for call in &self.late {
            format!("{call:?}").hash(state);
        }
    }
}

/// A protocol under some number of faults.
#[derive(Clone, Debug)]
pub(crate) struct System<P> {
    /// What is done.
    pub(crate) protocol: P,
    /// What may go wrong.
    pub(crate) most: Faults,
}

/// How many operations an actor may have, and how many ids each takes at most.
const IDS: Id = 20;
const OPERATIONS: Id = 3;

impl<P: Protocol + Clone + Debug> System<P> {
    /// Runs an actor on up to its next call; every choice on the way gives a state of its own.
    fn go_on(&self, mut state: State<P>, i: usize, all: &mut Vec<State<P>>) {
        loop {
            let actor = &mut state.actors[i];
            actor.next = None;
            let Some(at) = actor.at.filter(|at| *at < self.protocol.programs()[i]) else {
                *actor = Actor { at: None, answers: Vec::new(), next: None };
                break;
            };
            match self.protocol.run(i, at, &mut io(i, at, &actor.answers)) {
                Ok(goes_on) => *actor = Actor { at: goes_on.then_some(at + 1), answers: Vec::new(), next: None },
                Err(Stop::Call(call)) => {
                    actor.next = Some(call);
                    break;
                }
                Err(Stop::Choose(n)) => {
                    for choice in 0..n {
                        let mut chosen = state.clone();
                        chosen.actors[i].answers.push(Answer::Chosen(choice));
                        self.go_on(chosen, i, all);
                    }
                    return;
                }
            }
        }
        all.push(state);
    }

    fn answer(&self, mut state: State<P>, i: usize, answer: Answer<P::Answer>, all: &mut Vec<State<P>>) {
        state.actors[i].answers.push(answer);
        self.go_on(state, i, all);
    }

    /// Every way in which the next call of an actor can go.
    fn step(&self, state: &State<P>, i: usize, all: &mut Vec<State<P>>) {
        let Some(call) = state.actors[i].next else { return };
        let after = |how| State { last: Some((i, call, how)), ..state.clone() };
        let mut done = after("");
        let got = self.protocol.apply(&mut done.store, call);
        self.answer(done.clone(), i, Answer::Got(got.clone()), all);
        if !self.protocol.is_write(call) {
            return;
        }
        if state.used.crashes < self.most.crashes {
            let mut crashed = after(": crashes before it");
            crashed.used.crashes += 1;
            crashed.actors[i] = Actor { at: None, answers: Vec::new(), next: None };
            all.push(crashed);
        }
        if state.used.losses < self.most.losses {
            done.used.losses += 1;
            let lost = State { last: Some((i, call, ": done, the answer is lost")), ..done.clone() };
            self.answer(lost, i, Answer::Failed, all);
            let mut twice = State { last: Some((i, call, ": done, and once more later")), ..done };
            twice.late.push(call);
            self.answer(twice, i, Answer::Got(got), all);
            let mut late = after(": no answer, it may land later");
            late.used.losses += 1;
            late.late.push(call);
            self.answer(late, i, Answer::Failed, all);
        }
    }

    /// Runs one actor alone to its end, without faults; of all choices always the last.
    pub(crate) fn alone(
        &self,
        store: &mut P::Store,
        run: impl Fn(&mut Io<'_, P::Call, P::Answer>) -> Run<bool, P::Call>,
    ) {
        let mut answers = Vec::new();
        loop {
            let stop =
                run(&mut Io { answers: answers.iter(), next_id: 211, last_id: 239, call: std::marker::PhantomData });
            match stop {
                Ok(_) => return,
                Err(Stop::Call(call)) => {
                    let answer = self.protocol.apply(store, call);
                    answers.push(Answer::Got(answer));
                }
                Err(Stop::Choose(n)) => answers.push(Answer::Chosen(n - 1)),
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // a handful of actors and operations
fn io<'a, O, A>(actor: usize, at: usize, answers: &'a [Answer<A>]) -> Io<'a, O, A> {
    let base = (actor as Id * OPERATIONS + at as Id) * IDS;
    Io { answers: answers.iter(), next_id: base, last_id: base + IDS, call: std::marker::PhantomData }
}

impl<P: Protocol + Clone + Debug> Explorable for System<P> {
    type State = State<P>;

    fn initial(&self) -> State<P> {
        let programs = self.protocol.programs();
        let begun = Actor { at: Some(0), answers: Vec::new(), next: None };
        let state = State {
            store: self.protocol.store(),
            actors: vec![begun; programs.len()],
            late: Vec::new(),
            used: Faults::default(),
            last: None,
        };
        // No actor begins with a choice.
        (0..programs.len()).fold(state, |state, i| {
            let mut all = Vec::new();
            self.go_on(state, i, &mut all);
            all.swap_remove(0)
        })
    }

    fn successors(&self, state: &State<P>) -> Vec<State<P>> {
        let mut all = Vec::new();
        for i in 0..state.actors.len() {
            self.step(state, i, &mut all);
        }
        for (i, call) in state.late.iter().enumerate() {
            let mut landed = state.clone();
            landed.late.remove(i);
            landed.last = Some((usize::MAX, *call, ": lands late"));
            self.protocol.apply(&mut landed.store, *call);
            all.push(landed);
        }
        all
    }

    fn check(&self, state: &State<P>) -> Result<(), String> {
        self.protocol.check(&state.store)?;
        match state.actors.iter().all(|actor| actor.at.is_none()) {
            true => self.protocol.check_rest(&state.store, state.used),
            false => Ok(()),
        }
    }

    fn tell(&self, _: &State<P>, after: &State<P>) -> String {
        let Some((i, call, how)) = after.last else { return String::new() };
        let who = if i == usize::MAX { "      ".to_owned() } else { format!("actor {i}") };
        let answer = after.actors.get(i).and_then(|a| a.answers.iter().rfind(|a| matches!(a, Answer::Got(_))));
        let answer = answer.filter(|_| how.is_empty()).map(|a| format!(" = {a:?}")).unwrap_or_default();
        format!("{who} {call:?}{how}{answer}")
    }
}

/// Of which actor, which operation, and as which of its ids, counted from 0, an id was made.
pub(crate) fn place_of(id: Id) -> (usize, usize, usize) {
    let (which, i) = ((id - 1) / IDS, (id - 1) % IDS);
    (usize::from(which / OPERATIONS), usize::from(which % OPERATIONS), usize::from(i))
}
