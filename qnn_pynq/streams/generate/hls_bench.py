"""The C++ test bench of a description: ports, words, TLAST and the author's function, on patterns or on vectors."""

from __future__ import annotations

from ..description import Description, Stream

__all__ = ["bench_source"]

_START = r"""// Made by `qnn-pynq interface` from {name}.json. Exit code 0: every word and every TLAST is right.
//
// Without an argument and without vectors.txt: pseudorandom words, compared with {name}_compute called directly.
// With vectors.txt (`qnn-pynq interface --vectors`), or a file named: those inputs, and those outputs.
#include "{name}.h"

#include <fstream>
#include <iostream>
#include <string>
#include <vector>

static uint64_t seed = 1;

static uint64_t any_word()
{{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return seed >> 20;
}}

int main(int argc, char **argv)
{{
    const char *file = argc > 1 ? argv[1] : "vectors.txt";
    std::ifstream vectors(file);
    const bool given = vectors.good();
    unsigned samples = {samples};
    long wrong = 0, words = 0;
    std::string key;
    if (argc > 1 && !given) {{
        std::cerr << file << ": cannot be read\n";
        return 2;
    }}
    if (given && !(vectors >> key >> samples && key == "samples" && samples > 0)) {{
        std::cerr << file << ": expected the line `samples N` first\n";
        return 2;
    }}
"""
_END = r"""    std::cout << "{name}: " << samples << " samples, " << words << " words"
              << (given ? " of " : "") << (given ? file : "") << ", " << wrong << " wrong\n";
    return wrong ? 1 : 0;
}}
"""


def _pattern(stream: Stream) -> str:
    """A word that the type can have."""
    if stream.type.kind == "float":
        return "{0}_to_word({0}_t((int)(any_word() % 2001) - 1000) / 8)".format(stream.name)
    return "{0}_to_word({0}_from_word({0}_word(any_word())))".format(stream.name)


def _expected(description: Description) -> str:
    arrays = "".join("        {0}_t {0}_sample[{0}_elements];\n".format(stream.name) for stream in description.streams)
    ins = "".join("        for (int k = 0; k < {0}_elements; k++)\n"
                  "            {0}_sample[k] = {0}_from_word({0}_words[s * {0}_elements + k]);\n".format(stream.name)
                  for stream in description.inputs)
    outs = "".join("        for (int k = 0; k < {0}_elements; k++)\n"
                   "            {0}_words[s * {0}_elements + k] = {0}_to_word({0}_sample[k]);\n".format(stream.name)
                   for stream in description.outputs)
    return "    for (unsigned s = 0; s < samples && !given; s++) {{\n{}{}        {}_compute({});\n{}    }}\n".format(
        arrays, ins, description.name, ", ".join(stream.name + "_sample" for stream in description.streams), outs)


def _fill(stream: Stream) -> str:
    """The words of an input as beats, with TLAST as described."""
    last = {"sample": "beat == {0}_beats - 1", "batch": "s == samples - 1 && beat == {0}_beats - 1", "never": "false"}
    return """    for (unsigned s = 0; s < samples; s++)
        for (int beat = 0; beat < {name}_beats; beat++) {{
            {name}_beat in;
            for (int lane = 0; lane < {name}_lanes; lane++)
                in.data.range({bits} * lane + {top}, {bits} * lane) =
                    {name}_words[s * {name}_elements + beat * {name}_lanes + lane].range({top}, 0);
            in.keep = -1;
            in.strb = -1;
            in.last = {last};
            {name}.write(in);
        }}
""".format(name=stream.name, bits=stream.type.container_bits, top=stream.type.container_bits - 1,
           last=last[stream.tlast].format(stream.name))


def _compare(stream: Stream) -> str:
    if stream.dma is None:
        return """    for (size_t k = 0; k < {0}_words.size(); k++, words++)
        if ({0}_memory[k] != {0}_words[k] && wrong++ < 10)
            std::cerr << "{0}: word " << k << " is " << {0}_memory[k].to_uint64() << ", expected "
                      << {0}_words[k].to_uint64() << "\\n";
""".format(stream.name)
    last = "beat == {0}_beats - 1" if stream.tlast == "sample" else "s == samples - 1 && beat == {0}_beats - 1"
    return """    for (unsigned s = 0; s < samples; s++)
        for (int beat = 0; beat < {name}_beats; beat++) {{
            if ({name}.empty()) {{
                std::cerr << "{name}: ends after beat " << beat << " of sample " << s << "\\n";
                return 1;
            }}
            const {name}_beat out = {name}.read();
            if (bool(out.last) != ({last}) && wrong++ < 10)
                std::cerr << "{name}: TLAST is " << bool(out.last) << " on beat " << beat << " of sample " << s
                          << "\\n";
            for (int lane = 0; lane < {name}_lanes; lane++, words++) {{
                {name}_word word;
                word.range({top}, 0) = out.data.range({bits} * lane + {top}, {bits} * lane);
                const {name}_word right = {name}_words[s * {name}_elements + beat * {name}_lanes + lane];
                if (word != right && wrong++ < 10)
                    std::cerr << "{name}: element " << beat * {name}_lanes + lane << " of sample " << s << " is "
                              << word.to_uint64() << ", expected " << right.to_uint64() << "\\n";
            }}
        }}
    if (!{name}.empty() && wrong++ < 10)
        std::cerr << "{name}: more beats than expected\\n";
""".format(name=stream.name, last=last.format(stream.name), bits=stream.type.container_bits,
           top=stream.type.container_bits - 1)


def bench_source(description: Description, samples: int = 5) -> str:
    """`<name>_bench.cpp`."""
    parts = [_START.format(name=description.name, samples=samples)]
    for stream in description.streams:
        parts.append("    std::vector<{0}_word> {0}_words((size_t)samples * {0}_elements);\n".format(stream.name))
    for stream in description.inputs:
        loop = "    for (size_t k = 0; k < {0}_words.size() && !given; k++)\n        {0}_words[k] = {1};\n"
        parts.append(loop.format(stream.name, _pattern(stream)))
    parts.append("    for (unsigned s = 0; s < samples && given; s++) {\n        uint64_t word;\n")
    for stream in description.streams:
        parts.append("        for (int k = 0; k < {0}_elements; k++) {{\n            vectors >> word;\n"
                     "            {0}_words[s * {0}_elements + k] = {0}_word(word);\n        }}\n".format(stream.name))
    parts.append("    }\n    if (given && !vectors) {\n        std::cerr << file << \": ends too early\\n\";\n"
                 "        return 2;\n    }\n")
    parts.append(_expected(description))
    for stream in description.streams:
        if stream.dma is not None:
            parts.append("    hls::stream<{0}_beat> {0};\n".format(stream.name))
        elif stream in description.outputs:
            parts.append("    std::vector<{0}_word> {0}_memory({0}_words.size());\n".format(stream.name))
    parts += [_fill(stream) for stream in description.inputs if stream.dma is not None]
    ports = [stream.name if stream.dma is not None else "&{}_{}[0]".format(
        stream.name, "words" if stream in description.inputs else "memory") for stream in description.streams]
    if description.control == "start":
        parts.append("    {}({});\n".format(description.name, ", ".join(ports + ["samples"])))
    else:
        parts.append("    for (unsigned s = 0; s < samples; s++)\n        {}({});\n".format(
            description.name, ", ".join(ports)))
    parts += [_compare(stream) for stream in description.outputs]
    parts.append(_END.format(name=description.name))
    return "".join(parts)
