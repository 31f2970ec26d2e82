//! Graphs: captured operations, and their launches.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::sync::Arc;

use crate::abi::Out;
use crate::capture;
use crate::clock::{Clock, TimelineId};
use crate::context;
use crate::engine;
use crate::error::{Api, Error};
use crate::state;
use crate::stream;
use crate::timeline::Request;

/// One captured operation.
pub struct Node {
    /// What it does.
    pub request: Request,
    /// The stream it was captured from.
    pub stream: usize,
    /// The nodes that come before.
    pub after: Vec<usize>,
}

/// A graph.
pub struct Graph {
    nodes: Arc<Vec<Node>>,
}

impl Graph {
    /// A graph of captured nodes, each behind those it depends on.
    pub fn new(nodes: Vec<Node>) -> Self {
        Self { nodes: Arc::new(nodes) }
    }
}

/// An instantiated graph.
pub struct Executable {
    nodes: Arc<Vec<Node>>,
    /// A timeline for each captured stream: launches of one executable run one after the other.
    branches: BTreeMap<usize, TimelineId>,
}

/// `cuGraphInstantiateWithFlags`
pub fn instantiate(executable: Out<usize>, graph: usize, _flags: u64) -> Api {
    let mut sim = state::lock();
    let context = context::current(&sim)?;
    let nodes = Arc::clone(&sim.graphs.get(&graph).ok_or(Error::INVALID_VALUE)?.nodes);
    let mut branches = BTreeMap::new();
    for node in nodes.iter() {
        branches.entry(node.stream).or_insert_with(|| sim.engine.new_timeline(context));
    }
    let handle = sim.new_handle();
    sim.executables.insert(handle, Executable { nodes, branches });
    executable.set(handle)
}

/// `cuGraphInstantiate_v2`
pub fn instantiate_v2(
    executable: Out<usize>,
    graph: usize,
    error_node: Out<usize>,
    _log: Out<c_char>,
    _log_size: usize,
) -> Api {
    error_node.set_if_wanted(0);
    instantiate(executable, graph, 0)
}

/// `cuGraphLaunch`
pub fn launch(executable: usize, handle: usize) -> Api {
    let mut sim = state::lock();
    let stream = stream::resolve(&mut sim, handle)?;
    let found = sim.executables.get(&executable).ok_or(Error::INVALID_VALUE)?;
    let (nodes, branches) = (Arc::clone(&found.nodes), found.branches.clone());
    capture::refuse_implicit(&mut sim, stream)?;
    if sim.streams[&stream].capture.is_some() {
        for node in nodes.iter() {
            capture::add(&mut sim, stream, node.request.clone())?;
        }
        return Ok(());
    }
    // Launches of one executable are ordered among themselves, whatever their streams.
    let mut before = stream::position(&mut sim, stream);
    for &branch in branches.values() {
        before.join(&sim.engine.timeline(branch).clock);
    }
    let mut done: Vec<Clock> = Vec::new();
    for node in nodes.iter() {
        let mut after = before.clone();
        for &earlier in &node.after {
            after.join(&done[earlier]);
        }
        let branch = branches[&node.stream];
        after.join(&sim.engine.timeline(branch).clock);
        done.push(engine::submit(&mut sim, branch, stream, after, node.request.clone()));
    }
    let timeline = sim.streams[&stream].timeline;
    for clock in &done {
        sim.engine.timeline(timeline).clock.join(clock);
    }
    Ok(())
}

/// `cuGraphExecDestroy`
pub fn destroy_executable(handle: usize) -> Api {
    let mut sim = state::lock();
    let gone = sim.executables.remove(&handle).ok_or(Error::INVALID_VALUE)?;
    for branch in gone.branches.into_values() {
        sim.engine.abandon(branch);
    }
    Ok(())
}

/// `cuGraphDestroy`
pub fn destroy(handle: usize) -> Api {
    state::lock().graphs.remove(&handle).map(drop).ok_or(Error::INVALID_VALUE)
}

/// `cuGraphCreate`
pub fn create(graph: Out<usize>, flags: u32) -> Api {
    if flags != 0 {
        return Err(Error::INVALID_VALUE);
    }
    let mut sim = state::lock();
    let handle = sim.new_handle();
    sim.graphs.insert(handle, Graph::new(Vec::new()));
    graph.set(handle)
}

/// `cuGraphGetNodes`: their number; nodes have no handles here.
pub fn get_nodes(graph: usize, nodes: Out<usize>, count: Out<usize>) -> Api {
    let sim = state::lock();
    let found = sim.graphs.get(&graph).ok_or(Error::INVALID_VALUE)?;
    if nodes.is_null() { count.set(found.nodes.len()) } else { Err(Error::NOT_SUPPORTED) }
}
