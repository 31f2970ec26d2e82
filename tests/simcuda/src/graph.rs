//! Graphs: captured operations, and their launches.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::mem::discriminant;
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
#[derive(Clone)]
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

    /// Adds nodes that depend on none of those that there are.
    pub fn append(&mut self, nodes: &[Node]) {
        let all = Arc::make_mut(&mut self.nodes);
        let before = all.len();
        all.extend(nodes.iter().cloned().map(|mut node| {
            node.after.iter_mut().for_each(|after| *after += before);
            node
        }));
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

/// `cuGraphAddChildGraphNode`: a copy of the child's nodes, which depend on nothing.
pub fn add_child(
    node: Out<usize>,
    graph: usize,
    _dependencies: Out<usize>,
    count: usize,
    child: usize,
) -> Api {
    let mut sim = state::lock();
    if count > 0 {
        return Err(Error::NOT_SUPPORTED);
    }
    let nodes = Arc::clone(&sim.graphs.get(&child).ok_or(Error::INVALID_VALUE)?.nodes);
    let handle = sim.new_handle();
    sim.graphs.get_mut(&graph).ok_or(Error::INVALID_VALUE)?.append(&nodes);
    node.set(handle)
}

/// `CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED`
const TOPOLOGY_CHANGED: u32 = 2;

/// `cuGraphExecUpdate_v2`: other arguments for the same operations. The result comes first in what the
/// caller gets.
pub fn update(executable: usize, graph: usize, result: Out<u32>) -> Api {
    let mut sim = state::lock();
    let nodes = Arc::clone(&sim.graphs.get(&graph).ok_or(Error::INVALID_VALUE)?.nodes);
    let found = sim.executables.get(&executable).ok_or(Error::INVALID_VALUE)?;
    let alike = |(a, b): (&Node, &Node)| {
        a.after == b.after && discriminant(&a.request.work) == discriminant(&b.request.work)
    };
    let same = found.nodes.len() == nodes.len() && found.nodes.iter().zip(&*nodes).all(alike);
    if !same {
        result.set(TOPOLOGY_CHANGED)?;
        return Err(Error::GRAPH_EXEC_UPDATE_FAILURE);
    }
    // Each node stays in the branch that it was in.
    let streams: Vec<usize> = found.nodes.iter().map(|node| node.stream).collect();
    let renamed = nodes.iter().zip(streams).map(|(node, stream)| Node { stream, ..node.clone() });
    let renamed = Arc::new(renamed.collect());
    sim.executables.get_mut(&executable).expect("just found").nodes = renamed;
    result.set(0)
}

/// `cuGraphExecUpdate` of CUDA 10.2.
pub fn update_v1(executable: usize, graph: usize, node: Out<usize>, result: Out<u32>) -> Api {
    node.set_if_wanted(0);
    update(executable, graph, result)
}

/// `cuGraphGetNodes`: their number; nodes have no handles here.
pub fn get_nodes(graph: usize, nodes: Out<usize>, count: Out<usize>) -> Api {
    let sim = state::lock();
    let found = sim.graphs.get(&graph).ok_or(Error::INVALID_VALUE)?;
    if nodes.is_null() { count.set(found.nodes.len()) } else { Err(Error::NOT_SUPPORTED) }
}
