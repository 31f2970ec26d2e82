// The kinds of operation through which a program may read what a late kernel
// writes, ordered by nothing but a `cudaFree` of something else.
#include "hazard.cuh"


namespace {

constexpr size_t SYMBOL_BYTES = 64u << 10;
__device__ unsigned symbol_words[SYMBOL_BYTES / 4];

Kind to_host(Bench &bench, size_t bytes, bool pinned, bool async) {
    std::string name = std::string("d2h-") + (pinned ? "pinned-" : "pageable-") +
                       (async ? "async-" : "sync-") + size_name(bytes);
    return {name, bytes,
            [&bench, pinned](unsigned *) {
                if (pinned) bench.pinned();
                return "";
            },
            [&bench, bytes, pinned, async](unsigned *block) {
                unsigned *to = pinned ? bench.pinned() : bench.pageable;
                if (async) {
                    CHECK(cudaMemcpyAsync(to, block, bytes, cudaMemcpyDeviceToHost, bench.other));
                    CHECK(cudaStreamSynchronize(bench.other));
                } else {
                    CHECK(cudaMemcpy(to, block, bytes, cudaMemcpyDeviceToHost));
                }
                return to;
            }};
}

} // namespace

std::vector<Kind> read_kinds(Bench &bench) {
    const size_t small = 64u << 10, large = 16u << 20;
    std::vector<Kind> kinds;
    for (bool async : {false, true})
        for (size_t bytes : {size_t(4), small, large})
            kinds.push_back(to_host(bench, bytes, false, async));
    kinds.push_back({"copy-2d", small, {}, [=, &bench](unsigned *block) {
                         CHECK(cudaMemcpy2D(bench.pageable, 1024, block, 1024, 1024, 64,
                                            cudaMemcpyDeviceToHost));
                         return bench.pageable;
                     }});
    auto symbol = std::make_shared<unsigned *>();
    Kind from_symbol = {"from-symbol", SYMBOL_BYTES,
                        [symbol](unsigned *) {
                            CHECK(cudaGetSymbolAddress((void **)symbol.get(), symbol_words));
                            return "";
                        },
                        [=, &bench](unsigned *) {
                            CHECK(cudaMemcpyFromSymbol(bench.pageable, symbol_words, SYMBOL_BYTES));
                            return bench.pageable;
                        }};
    from_symbol.watched = symbol;
    kinds.push_back(from_symbol);
    Kind d2d = {"d2d-other-stream", large, {}, [=, &bench](unsigned *block) {
                    CHECK(cudaMemcpyAsync(bench.result, block, large, cudaMemcpyDeviceToDevice,
                                          bench.other));
                    return bench.result;
                }};
    d2d.reads_to_device = true;
    kinds.push_back(d2d);
    for (bool async : {false, true})
        for (size_t bytes : {size_t(4), small, large})
            kinds.push_back(to_host(bench, bytes, true, async));
    return kinds;
}
