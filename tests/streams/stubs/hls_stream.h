// Just enough of Vitis HLS's hls_stream for the generated files under plain g++: written for these tests.
#ifndef STUB_HLS_STREAM_H
#define STUB_HLS_STREAM_H

#include <cstdio>
#include <cstdlib>
#include <deque>

namespace hls {
template <class T> class stream {
    std::deque<T> waiting;

public:
    T read()
    {
        if (waiting.empty()) {
            std::fputs("a stream was read that is empty: the hardware would hang\n", stderr);
            std::exit(3);
        }
        T first = waiting.front();
        waiting.pop_front();
        return first;
    }
    void write(const T &value) { waiting.push_back(value); }
    bool empty() const { return waiting.empty(); }
};
}

#endif
