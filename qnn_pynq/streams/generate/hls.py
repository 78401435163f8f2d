"""C++ for Vitis HLS from a description: header, ports with their protocol, and a place for the author's code."""

from __future__ import annotations

from ..description import Description, Stream

__all__ = ["compute_source", "header_source", "kernel_source", "signature"]

_NOTE = "// Made by `qnn-pynq interface` from {name}.json: change that and run it again, not this file.\n"


def _title(description: Description) -> str:
    """The title as one comment line, whatever is in it."""
    return "".join(sign for sign in description.title if " " <= sign <= "~" and sign not in "\\?")


def _port(stream: Stream, is_input: bool) -> str:
    if stream.dma is not None:
        return "hls::stream<{0}_beat> &{0}".format(stream.name)
    return "{}{}_word *{}".format("const " if is_input else "", stream.name, stream.name)


def signature(description: Description) -> str:
    """The top function without its body."""
    ports = [_port(stream, stream in description.inputs) for stream in description.streams]
    if description.control == "start":
        ports.append("ap_uint<32> samples")
    return "void {}({})".format(description.name, ", ".join(ports))


def _compute_signature(description: Description) -> str:
    arrays = ["{0}{1}_t {1}[{1}_elements]".format("const " if stream in description.inputs else "", stream.name)
              for stream in description.streams]
    return "void {}_compute({})".format(description.name, ", ".join(arrays))


def _conversions(stream: Stream) -> str:
    """Word of memory and wires to value, and back; the bits above the value are its sign, or zeros."""
    name, kind, bits = stream.name, stream.type, stream.type.container_bits
    if kind.kind == "float":
        raw = "uint{}_t".format(bits)
        return """
inline {name}_t {name}_from_word({name}_word word)
{{
    union {{ {raw} bits; {name}_t value; }} both;
    both.bits = ({raw})word.to_uint64();
    return both.value;
}}

inline {name}_word {name}_to_word({name}_t value)
{{
    union {{ {raw} bits; {name}_t value; }} both;
    both.value = value;
    return {name}_word(both.bits);
}}
""".format(name=name, raw=raw)
    return """
inline {name}_t {name}_from_word({name}_word word)
{{
    {name}_t value;
    value.range({top}, 0) = word.range({top}, 0);
    return value;
}}

inline {name}_word {name}_to_word({name}_t value)
{{
    {integer}<{width}> raw;
    raw.range({top}, 0) = value.range({top}, 0);
    {integer}<{bits}> wide = raw;
    {name}_word word;
    word.range({last}, 0) = wide.range({last}, 0);
    return word;
}}
""".format(name=name, width=kind.width, top=kind.width - 1, bits=bits, last=bits - 1,
           integer="ap_int" if kind.signed else "ap_uint")


def _stream_header(stream: Stream, is_input: bool) -> str:
    shape = " x ".join(map(str, stream.shape)) or "a single number"
    text = "\n// {} {}: {} of {}".format("in " if is_input else "out", stream.name, shape, stream.type.text)
    if stream.dma is None:
        text += ", by AXI master\n"
    else:
        where = {"batch": "the last beat of a batch", "sample": "the last beat of each sample", "never": "no beat"}
        text += ", through {}; TLAST on {}\n".format(stream.dma, where[stream.tlast])
    text += "typedef {1} {0}_t;\nconst int {0}_elements = {2};\ntypedef ap_uint<{3}> {0}_word; // one element\n".format(
        stream.name, stream.type.text, stream.elements, stream.type.container_bits)
    if stream.dma is not None:
        text += ("const int {0}_lanes = {1}; // elements in a beat\nconst int {0}_beats = {2};\n"
                 "typedef ap_axiu<{3}, 0, 0, 0> {0}_beat; // data, keep, strb, last\n").format(
                     stream.name, stream.lanes, stream.beats, stream.beat_bits)
    return text + _conversions(stream)


def header_source(description: Description) -> str:
    """`<name>.h`: types, sizes, conversions, prototypes."""
    guard = "{}_STREAMS_H_".format(description.name.upper())
    parts = [
        _NOTE.format(name=description.name), "// {}\n".format(_title(description)),
        "#ifndef {0}\n#define {0}\n\n".format(guard),
        "#include <ap_axi_sdata.h>\n#include <ap_fixed.h>\n#include <ap_int.h>\n#include <hls_stream.h>\n"
        "#include <stdint.h>\n",
    ]
    parts += [_stream_header(stream, stream in description.inputs) for stream in description.streams]
    parts.append("\n// The circuit: ports and protocol, in {0}.cpp.\n{1};\n\n"
                 "// What it computes for one sample: yours, in {0}_compute.cpp.\n{2};\n\n#endif\n".format(
                     description.name, signature(description), _compute_signature(description)))
    return "".join(parts)


def _pragmas(description: Description) -> list[str]:
    lines = []
    for stream in description.streams:
        if stream.dma is not None:
            lines.append("#pragma HLS INTERFACE axis port={}".format(stream.name))
        else:
            lines.append("#pragma HLS INTERFACE m_axi port={0} offset=slave bundle=gmem_{0} depth={1}".format(
                stream.name, 8 * stream.elements))
            lines.append("#pragma HLS INTERFACE s_axilite port={} bundle=control".format(stream.name))
    if description.control == "none":
        lines.append("#pragma HLS INTERFACE ap_ctrl_none port=return")
    else:
        lines.append("#pragma HLS INTERFACE s_axilite port=samples bundle=control")
        lines.append("#pragma HLS INTERFACE s_axilite port=return bundle=control")
    return lines


def _read(stream: Stream, keep_last: bool) -> str:
    name = stream.name
    if stream.dma is None:
        return """{name}_read:
    for (int k = 0; k < {name}_elements; k++) {{
#pragma HLS PIPELINE II=1
        {name}_sample[k] = {name}_from_word({name}[sample * {name}_elements + k]);
    }}
""".format(name=name)
    last = "        end_{} = in.last; // that of the sample's last beat stays\n".format(name) if keep_last else ""
    return """{name}_read:
    for (int beat = 0; beat < {name}_beats; beat++) {{
#pragma HLS PIPELINE II=1
        const {name}_beat in = {name}.read();
        for (int lane = 0; lane < {name}_lanes; lane++) {{
#pragma HLS UNROLL
            {name}_word word;
            word.range({top}, 0) = in.data.range({bits} * lane + {top}, {bits} * lane);
            {name}_sample[beat * {name}_lanes + lane] = {name}_from_word(word);
        }}
{last}    }}
""".format(name=name, bits=stream.type.container_bits, top=stream.type.container_bits - 1, last=last)


def _write(stream: Stream) -> str:
    name = stream.name
    if stream.dma is None:
        return """{name}_write:
    for (int k = 0; k < {name}_elements; k++) {{
#pragma HLS PIPELINE II=1
        {name}[sample * {name}_elements + k] = {name}_to_word({name}_sample[k]);
    }}
""".format(name=name)
    end = "beat == {}_beats - 1".format(name) + ("" if stream.tlast == "sample" else " && end")
    return """{name}_write:
    for (int beat = 0; beat < {name}_beats; beat++) {{
#pragma HLS PIPELINE II=1
        {name}_beat out;
        for (int lane = 0; lane < {name}_lanes; lane++) {{
#pragma HLS UNROLL
            out.data.range({bits} * lane + {top}, {bits} * lane) =
                {name}_to_word({name}_sample[beat * {name}_lanes + lane]).range({top}, 0);
        }}
        out.keep = -1;
        out.strb = -1;
        out.last = {end};
        {name}.write(out);
    }}
""".format(name=name, bits=stream.type.container_bits, top=stream.type.container_bits - 1, end=end)


def kernel_source(description: Description) -> str:
    """`<name>.cpp`: the top function, which moves one sample after the other through the author's function."""
    started = description.control == "start"
    told = [] if started else [stream for stream in description.inputs if stream.tlast == "batch"]
    ends = [stream for stream in description.outputs if stream.dma is not None and stream.tlast == "batch"]
    body = ["    {0}_t {0}_sample[{0}_elements];\n".format(stream.name) for stream in description.streams]
    if ends:
        body += ["    bool end_{} = false;\n".format(stream.name) for stream in told]
    body += [_read(stream, bool(ends) and stream in told) for stream in description.inputs]
    if ends:
        body.append("    const bool end = {};\n".format(
            "sample == samples - 1" if started else " || ".join("end_" + stream.name for stream in told)))
    body.append("    {}_compute({});\n".format(
        description.name, ", ".join(stream.name + "_sample" for stream in description.streams)))
    body += [_write(stream) for stream in description.outputs]
    text = "".join(body)
    if started:
        text = "    for (ap_uint<32> sample = 0; sample < samples; sample++) {{\n{}    }}\n".format(
            "".join(line if line.startswith("#") else "    " + line for line in text.splitlines(True)))
    return "{}#include \"{}.h\"\n\n{}\n{{\n{}\n{}}}\n".format(
        _NOTE.format(name=description.name), description.name, signature(description),
        "\n".join(_pragmas(description)), text)


def compute_source(description: Description) -> str:
    """`<name>_compute.cpp`: a placeholder that hands the first input on; it is the author's from then on."""
    first = description.inputs[0]
    lines = []
    for stream in description.outputs:
        same = stream.type == first.type or "float" in (stream.type.kind, first.type.kind)
        value = "{}[k]".format(first.name) if same else "{}[k].to_double()".format(first.name)
        if stream.type.kind == "float" and first.type.kind != "float":
            value = "{}[k].to_double()".format(first.name)
        lines.append("    for (int k = 0; k < {1}_elements; k++)\n        {1}[k] = k < {0}_elements ? {1}_t({2}) : "
                     "{1}_t(0);\n".format(first.name, stream.name, value))
    unused = ["    (void){};\n".format(stream.name) for stream in description.inputs[1:]]
    return ("// What {0} computes for one sample: write it here. This file is yours, and is never overwritten.\n"
            "#include \"{0}.h\"\n\n{1}\n{{\n{2}{3}}}\n").format(
                description.name, _compute_signature(description), "".join(unused), "".join(lines))
