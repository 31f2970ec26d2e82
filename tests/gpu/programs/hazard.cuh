// The two experiments behind the hazard matrices.
//
// Overwrite: a late kernel on a non-blocking stream still reads a block; the
// host frees it, is given the same address again and overwrites it. Native
// `cudaFree` waits, so the late kernel sees the old words.
//
// Read: a late kernel still writes a buffer; the host frees something else
// and reads the buffer. Native `cudaFree` waits, so the host sees new words.
#pragma once

#include "common.cuh"

#include <functional>
#include <memory>
#include <string>
#include <vector>

constexpr unsigned OLD = 0x01d01d01;
constexpr unsigned NEW = 0x0e0e0e0e;  // one byte repeated, so that a memset can write it
constexpr size_t LARGEST = 16u << 20; // bytes

// Streams and buffers of one context. Built before anything is late, because
// allocating and loading may themselves wait for the GPU.
struct Bench {
    cudaStream_t late, other;
    unsigned *result;          // device, LARGEST bytes
    unsigned *source;          // device, LARGEST bytes, every word NEW
    unsigned *pageable;        // host, LARGEST bytes
    unsigned long long *wrong; // device
    Bench();
    // Host memory of the driver's own, made when first asked for: having any
    // is a sign to the pool.
    unsigned *pinned();
    // Words among the first `words` of `block` (device) that are not `expected`.
    unsigned long long wrong_words(const unsigned *block, size_t words, unsigned expected);

  private:
    unsigned *pinned_ = nullptr;
};

// One way of overwriting or of reading. An empty step is the plain one.
struct Kind {
    std::string name;
    size_t bytes;
    // May wait for the GPU; returns why the kind cannot run here, or "".
    std::function<std::string(unsigned *block)> prepare;
    // The operation under test. Overwriting: sets words of the block to NEW.
    // Reading: returns where the words read lie (host, or device if so said).
    std::function<const unsigned *(unsigned *block)> act;
    bool reads_to_device = false;
    // Starts the late kernel.
    std::function<void(unsigned *block, size_t words)> late = {};
    // Frees the block.
    std::function<void(unsigned *block)> release = {};
    // What the late kernel touches instead of the block: set by `prepare`.
    std::shared_ptr<unsigned *> watched = {};
};

inline std::string size_name(size_t bytes) {
    if (bytes >= 1u << 20) return std::to_string(bytes >> 20) + "MiB";
    if (bytes >= 1u << 10) return std::to_string(bytes >> 10) + "KiB";
    return std::to_string(bytes) + "B";
}

// Runs one kind and prints `name verdict`, the verdict being one of
// `safe`, `hazard`, `moved` (another address was given), `unsupported: why` or
// `error: which call`.
void run_overwrite(Bench &bench, const Kind &kind);
void run_read(Bench &bench, const Kind &kind);

std::vector<Kind> overwrite_kinds(Bench &bench);
std::vector<Kind> read_kinds(Bench &bench);
// Runs the kinds of extended.cu and contexts.cu whose name contains `pattern`.
void run_extended(Bench &bench, const char *pattern);
void run_contexts(Bench &bench, const char *pattern);
