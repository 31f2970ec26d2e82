//! Stream capture, and the calls that it forbids.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::abi::Out;
use crate::context::{self, ContextId};
use crate::error::{Api, Error};
use crate::graph::{Graph, Node};
use crate::state::{self, Sim};
use crate::stream;
use crate::timeline::Request;

/// `CUstreamCaptureMode`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Calls that might disturb a capture are forbidden to every thread.
    Global,
    /// They are forbidden to the thread that captures.
    ThreadLocal,
    /// They are allowed.
    Relaxed,
}

impl Mode {
    fn from_c(mode: u32) -> Api<Self> {
        Ok(match mode {
            0 => Mode::Global,
            1 => Mode::ThreadLocal,
            2 => Mode::Relaxed,
            _ => return Err(Error::INVALID_VALUE),
        })
    }
}

/// A capture that has begun and not ended.
pub struct Capture {
    mode: Mode,
    /// Where it began and must end.
    origin: usize,
    thread: i32,
    context: ContextId,
    invalid: bool,
    /// The graph that gets the nodes, if there is one already.
    into: Option<usize>,
    nodes: Vec<Node>,
    /// For each stream that takes part, the nodes that its next one depends on.
    frontiers: BTreeMap<usize, Vec<usize>>,
}

/// An event's place in a capture.
#[derive(Clone)]
pub struct Captured {
    capture: u64,
    frontier: Vec<usize>,
}

thread_local! {
    static THREAD_MODE: Cell<Mode> = const { Cell::new(Mode::Global) };
}

/// Ends a capture's usefulness.
pub fn invalidate(sim: &mut Sim, capture: u64) {
    if let Some(capture) = sim.captures.get_mut(&capture) {
        capture.invalid = true;
    }
}

fn refuse(sim: &mut Sim, offended: impl Fn(&Capture) -> bool) -> Api {
    let mut result = Ok(());
    for capture in sim.captures.values_mut().filter(|capture| offended(capture)) {
        capture.invalid = true;
        result = Err(Error::STREAM_CAPTURE_UNSUPPORTED);
    }
    result
}

/// Fails, and invalidates the captures in question, where the calling thread must not make calls
/// that might disturb one.
pub fn refuse_unsafe_call(sim: &mut Sim) -> Api {
    let thread = state::thread();
    let own = |capture: &Capture| capture.thread == thread && capture.mode != Mode::Relaxed;
    match THREAD_MODE.get() {
        Mode::Global => refuse(sim, |capture| own(capture) || capture.mode == Mode::Global),
        Mode::ThreadLocal => refuse(sim, own),
        Mode::Relaxed => Ok(()),
    }
}

/// Fails, and invalidates the captures in question, while any goes on in a context: a context's
/// events include its capturing streams, in every mode.
pub fn refuse_in_context(sim: &mut Sim, context: ContextId) -> Api {
    refuse(sim, |capture| capture.context == context)
}

/// Fails where the host wants to wait for a stream that is capturing.
pub fn refuse_capturing(sim: &mut Sim, stream: usize) -> Api {
    match sim.streams[&stream].capture {
        None => Ok(()),
        Some(capture) => {
            invalidate(sim, capture);
            Err(Error::STREAM_CAPTURE_UNSUPPORTED)
        }
    }
}

/// Fails where the legacy default stream would have to wait for a capturing stream.
pub fn refuse_implicit(sim: &mut Sim, stream: usize) -> Api {
    if sim.captures.is_empty() || !stream::is_legacy(sim, stream) {
        return Ok(());
    }
    let context = sim.streams[&stream].context;
    let blocking: Vec<u64> = sim
        .streams
        .iter()
        .filter(|&(&other, found)| found.context == context && stream::is_blocking(sim, other))
        .filter_map(|(_, found)| found.capture)
        .collect();
    for &capture in &blocking {
        invalidate(sim, capture);
    }
    if blocking.is_empty() { Ok(()) } else { Err(Error::STREAM_CAPTURE_IMPLICIT) }
}

fn valid(sim: &mut Sim, id: u64) -> Api<&mut Capture> {
    let capture = sim.captures.get_mut(&id).ok_or(Error::STREAM_CAPTURE_UNMATCHED)?;
    if capture.invalid { Err(Error::STREAM_CAPTURE_INVALIDATED) } else { Ok(capture) }
}

/// Adds an operation to the capture that a stream takes part in.
pub fn add(sim: &mut Sim, stream: usize, request: Request) -> Api {
    let Some(id) = sim.streams[&stream].capture else { return Ok(()) };
    let capture = valid(sim, id)?;
    let number = capture.nodes.len();
    let frontier = capture.frontiers.entry(stream).or_default();
    let after = std::mem::replace(frontier, vec![number]);
    capture.nodes.push(Node { request, stream, after });
    Ok(())
}

/// Records an event in a capturing stream.
pub fn record(sim: &mut Sim, stream: usize, event: usize) -> Api {
    let Some(id) = sim.streams[&stream].capture else { return Ok(()) };
    let frontier = valid(sim, id)?.frontiers.get(&stream).cloned().unwrap_or_default();
    let event = sim.events.get_mut(&event).ok_or(Error::INVALID_HANDLE)?;
    event.captured = Some(Captured { capture: id, frontier });
    Ok(())
}

/// Makes a stream wait for an event where one of them takes part in a capture.
pub fn wait(sim: &mut Sim, stream: usize, event: Option<Captured>) -> Api {
    let of_stream = sim.streams[&stream].capture;
    let Some(event) = event else {
        if let Some(capture) = of_stream {
            invalidate(sim, capture);
        }
        return Err(Error::STREAM_CAPTURE_ISOLATION);
    };
    if let Some(other) = of_stream.filter(|&other| other != event.capture) {
        invalidate(sim, other);
        invalidate(sim, event.capture);
        return Err(Error::STREAM_CAPTURE_MERGE);
    }
    let capture = valid(sim, event.capture)?;
    let frontier = capture.frontiers.entry(stream).or_default();
    for node in event.frontier {
        if !frontier.contains(&node) {
            frontier.push(node);
        }
    }
    sim.streams.get_mut(&stream).expect("the caller has resolved it").capture = Some(event.capture);
    Ok(())
}

/// Removes the captures of a context that goes.
pub fn forget_context(sim: &mut Sim, context: ContextId) {
    sim.captures.retain(|_, capture| capture.context != context);
}

/// `cuStreamBeginCapture_v2`
pub fn begin(handle: usize, mode: u32) -> Api {
    begin_into(handle, mode, None)
}

/// `cuStreamBeginCaptureToGraph`: behind nothing that the graph has.
pub fn begin_to_graph(
    handle: usize,
    graph: usize,
    _dependencies: Out<usize>,
    _edges: Out<usize>,
    count: usize,
    mode: u32,
) -> Api {
    if count > 0 {
        return Err(Error::NOT_SUPPORTED);
    }
    if !state::lock().graphs.contains_key(&graph) {
        return Err(Error::INVALID_VALUE);
    }
    begin_into(handle, mode, Some(graph))
}

fn begin_into(handle: usize, mode: u32, into: Option<usize>) -> Api {
    let mut sim = state::lock();
    let mode = Mode::from_c(mode)?;
    let context = context::current(&sim)?;
    let stream = stream::resolve(&mut sim, handle)?;
    if stream::is_legacy(&sim, stream) {
        return Err(Error::STREAM_CAPTURE_UNSUPPORTED);
    }
    if sim.streams[&stream].capture.is_some() {
        return Err(Error::INVALID_VALUE);
    }
    let id = sim.new_handle() as u64;
    let frontiers = BTreeMap::from([(stream, Vec::new())]);
    let thread = state::thread();
    let (invalid, nodes) = (false, Vec::new());
    let capture =
        Capture { mode, origin: stream, thread, context, invalid, into, nodes, frontiers };
    sim.captures.insert(id, capture);
    sim.streams.get_mut(&stream).expect("resolved above").capture = Some(id);
    Ok(())
}

/// `cuStreamBeginCapture` of CUDA 10.0: global mode.
pub fn begin_global(handle: usize) -> Api {
    begin(handle, 0)
}

/// `cuStreamEndCapture`
pub fn end(handle: usize, graph: Out<usize>) -> Api {
    let mut sim = state::lock();
    let stream = stream::resolve(&mut sim, handle)?;
    let id = sim.streams[&stream].capture.ok_or(Error::ILLEGAL_STATE)?;
    let capture = sim.captures.get(&id).ok_or(Error::ILLEGAL_STATE)?;
    if capture.origin != stream {
        invalidate(&mut sim, id);
        return Err(Error::STREAM_CAPTURE_UNMATCHED);
    }
    // The attempt ends it all the same (seen with driver 580: its own thread then gets 401).
    let elsewhere = capture.mode != Mode::Relaxed && capture.thread != state::thread();
    let capture = sim.captures.remove(&id).expect("it was there");
    for stream in capture.frontiers.keys() {
        if let Some(stream) = sim.streams.get_mut(stream) {
            stream.capture = None;
        }
    }
    graph.set_if_wanted(0);
    if elsewhere {
        return Err(Error::STREAM_CAPTURE_WRONG_THREAD);
    }
    if capture.invalid {
        return Err(Error::STREAM_CAPTURE_INVALIDATED);
    }
    if !joined(&capture) {
        return Err(Error::STREAM_CAPTURE_UNJOINED);
    }
    let handle = match capture.into {
        Some(handle) => {
            let graph = sim.graphs.get_mut(&handle).ok_or(Error::INVALID_VALUE)?;
            graph.append(&capture.nodes);
            handle
        }
        None => {
            let handle = sim.new_handle();
            sim.graphs.insert(handle, Graph::new(capture.nodes));
            handle
        }
    };
    graph.set(handle)
}

/// Every node is ordered before the origin's end.
fn joined(capture: &Capture) -> bool {
    let mut seen = vec![false; capture.nodes.len()];
    let mut open = capture.frontiers.get(&capture.origin).cloned().unwrap_or_default();
    while let Some(node) = open.pop() {
        if !std::mem::replace(&mut seen[node], true) {
            open.extend_from_slice(&capture.nodes[node].after);
        }
    }
    seen.into_iter().all(|reached| reached)
}

/// `cuStreamIsCapturing`
pub fn is_capturing(handle: usize, status: Out<u32>) -> Api {
    let mut sim = state::lock();
    let stream = stream::resolve(&mut sim, handle)?;
    capture_status(&mut sim, stream).and_then(|found| status.set(found))
}

/// `CUstreamCaptureStatus`: 0 none, 1 active, 2 invalidated.
fn capture_status(sim: &mut Sim, stream: usize) -> Api<u32> {
    refuse_implicit(sim, stream)?;
    let capture = sim.streams[&stream].capture.and_then(|id| sim.captures.get(&id));
    Ok(capture.map_or(0, |capture| if capture.invalid { 2 } else { 1 }))
}

/// `cuStreamGetCaptureInfo` of CUDA 10.1: status and identity.
pub fn get_info(handle: usize, status: Out<u32>, id: Out<u64>) -> Api {
    let mut sim = state::lock();
    let stream = stream::resolve(&mut sim, handle)?;
    status.set(capture_status(&mut sim, stream)?)?;
    id.set_if_wanted(sim.streams[&stream].capture.unwrap_or(0));
    Ok(())
}

/// `cuStreamGetCaptureInfo_v2`: a graph under construction cannot be inspected here.
pub fn get_info_v2(
    handle: usize,
    status: Out<u32>,
    id: Out<u64>,
    graph: Out<usize>,
    dependencies: Out<usize>,
    count: Out<usize>,
) -> Api {
    get_info(handle, status, id)?;
    graph.set_if_wanted(0);
    dependencies.set_if_wanted(0);
    count.set_if_wanted(0);
    Ok(())
}

/// `cuStreamGetCaptureInfo_v3`
pub fn get_info_v3(
    handle: usize,
    status: Out<u32>,
    id: Out<u64>,
    graph: Out<usize>,
    dependencies: Out<usize>,
    edges: Out<usize>,
    count: Out<usize>,
) -> Api {
    edges.set_if_wanted(0);
    get_info_v2(handle, status, id, graph, dependencies, count)
}

/// `cuThreadExchangeStreamCaptureMode`
pub fn exchange_thread_mode(mode: Out<u32>) -> Api {
    let new = Mode::from_c(mode.get()?)?;
    mode.set(THREAD_MODE.replace(new) as u32)
}
