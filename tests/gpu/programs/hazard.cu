// hazard overwrite|read|extended|contexts [substring]: runs the kinds whose name
// contains the substring, in order, one line of output each.
#include "hazard.cuh"

#include <cstring>

Bench::Bench() {
    CHECK(cudaStreamCreateWithFlags(&late, cudaStreamNonBlocking));
    CHECK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    CHECK(cudaMalloc(&result, LARGEST));
    CHECK(cudaMalloc(&source, LARGEST));
    CHECK(cudaMalloc(&wrong, sizeof *wrong));
    pageable = static_cast<unsigned *>(malloc(LARGEST));
    for (size_t i = 0; i < LARGEST / 4; i++) pageable[i] = NEW;
    // Each kernel once, so that none is loaded while another one is late.
    fill<<<BLOCKS, THREADS>>>(source, LARGEST / 4, NEW, 0);
    copy<<<BLOCKS, THREADS>>>(result, source, LARGEST / 4, 0);
    CHECK(cudaDeviceSynchronize());
    wrong_words(result, 1, NEW);
}

unsigned *Bench::pinned() {
    if (!pinned_) {
        CHECK(cudaMallocHost(&pinned_, LARGEST));
        for (size_t i = 0; i < LARGEST / 4; i++) pinned_[i] = NEW;
    }
    return pinned_;
}

unsigned long long Bench::wrong_words(const unsigned *block, size_t words, unsigned expected) {
    unsigned long long count = 0;
    CHECK(cudaMemset(wrong, 0, sizeof *wrong));
    count_wrong<<<BLOCKS, THREADS>>>(block, words, expected, wrong, 0);
    CHECK(cudaMemcpy(&count, wrong, sizeof count, cudaMemcpyDeviceToHost));
    return count;
}

static void report(const Kind &kind, const std::string &verdict) {
    printf("%s %s\n", kind.name.c_str(), verdict.c_str());
    fflush(stdout);
}

static void set(unsigned *block, size_t words, unsigned value) {
    fill<<<BLOCKS, THREADS>>>(block, words, value, 0);
    CHECK(cudaDeviceSynchronize());
}

static void overwrite_once(Bench &bench, const Kind &kind) {
    size_t words = kind.bytes / 4;
    unsigned *block;
    CHECK(cudaMalloc(&block, kind.bytes));
    std::string reason = kind.prepare ? kind.prepare(block) : "";
    if (!reason.empty()) {
        report(kind, "unsupported: " + reason);
        CHECK(cudaFree(block));
        return;
    }
    // Once on the quiet, so that nothing is set up while the kernel is late.
    kind.act(block);
    CHECK(cudaDeviceSynchronize());
    unsigned *watched = kind.watched ? *kind.watched : block;
    set(watched, words, OLD);
    set(bench.result, words, 0);

    if (kind.late)
        kind.late(watched, words);
    else
        copy<<<BLOCKS, THREADS, 0, bench.late>>>(bench.result, watched, words, LATE_US);
    CHECK(cudaGetLastError());
    if (kind.release)
        kind.release(block);
    else
        CHECK(cudaFree(block));
    unsigned *again;
    CHECK(cudaMalloc(&again, kind.bytes));
    // Another address cannot collide, and prepared graphs hold the old one.
    bool moved = again != block && !kind.watched;
    if (!moved) kind.act(again);
    CHECK(cudaDeviceSynchronize());
    bool intact = bench.wrong_words(bench.result, words, OLD) == 0;
    report(kind, moved ? "moved" : intact ? "safe" : "hazard");
    CHECK(cudaFree(again));
}

static void read_once(Bench &bench, const Kind &kind) {
    size_t words = kind.bytes / 4;
    unsigned *block, *unrelated;
    CHECK(cudaMalloc(&block, kind.bytes));
    CHECK(cudaMalloc(&unrelated, 1 << 20));
    std::string reason = kind.prepare ? kind.prepare(block) : "";
    if (!reason.empty()) {
        report(kind, "unsupported: " + reason);
        CHECK(cudaFree(block));
        CHECK(cudaFree(unrelated));
        return;
    }
    unsigned *watched = kind.watched ? *kind.watched : block;
    set(watched, words, OLD);
    kind.act(watched);
    CHECK(cudaDeviceSynchronize());

    if (kind.late)
        kind.late(watched, words);
    else
        fill<<<BLOCKS, THREADS, 0, bench.late>>>(watched, words, NEW, LATE_US);
    CHECK(cudaGetLastError());
    CHECK(cudaFree(unrelated));
    const unsigned *seen = kind.act(watched);
    CHECK(cudaDeviceSynchronize());
    unsigned long long stale = 0;
    if (kind.reads_to_device)
        stale = bench.wrong_words(seen, words, NEW);
    else
        for (size_t i = 0; i < words; i++) stale += seen[i] != NEW;
    report(kind, stale ? "hazard" : "safe");
    CHECK(cudaFree(block));
}

// A kind that fails takes none of the others with it.
static void guarded(void (*once)(Bench &, const Kind &), Bench &bench, const Kind &kind) {
    try {
        once(bench, kind);
    } catch (const Failure &failure) {
        cudaDeviceSynchronize();
        cudaGetLastError();
        report(kind, std::string("error: ") + failure.what());
    }
}

void run_overwrite(Bench &bench, const Kind &kind) { guarded(overwrite_once, bench, kind); }

void run_read(Bench &bench, const Kind &kind) { guarded(read_once, bench, kind); }

int main(int argc, char **argv) {
    const char *which = argc > 1 ? argv[1] : "";
    const char *pattern = argc > 2 ? argv[2] : "";
    Bench bench;
    if (!strcmp(which, "overwrite")) {
        for (const Kind &kind : overwrite_kinds(bench))
            if (strstr(kind.name.c_str(), pattern)) run_overwrite(bench, kind);
    } else if (!strcmp(which, "read")) {
        for (const Kind &kind : read_kinds(bench))
            if (strstr(kind.name.c_str(), pattern)) run_read(bench, kind);
    } else if (!strcmp(which, "extended")) {
        run_extended(bench, pattern);
    } else if (!strcmp(which, "contexts")) {
        run_contexts(bench, pattern);
    } else {
        fprintf(stderr, "usage: hazard overwrite|read|extended|contexts [substring]\n");
        return 2;
    }
    puts("end");
    return 0;
}
