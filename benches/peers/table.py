"""The results as Markdown: one table to compare, one of details.

    table.py RESULT.json    prints it
"""

import json
import sys
from pathlib import Path

TITLES = {
    "lineside": "Lineside", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "litert": "LiteRT",
    "ncnn": "ncnn", "onnxruntime_fp32": "ONNX Runtime fp32",
}
PEERS = ("onnxruntime", "openvino", "litert", "ncnn")


def write(document):
    shown = [name for name in TITLES if any(name in network["runtimes"] for network in document["networks"])]
    return "\n".join([*head(document), *compared(document, shown), *notes(document), *details(document, shown), ""])


def head(document):
    machine = document["machine"]
    command = "benches/peers/run" + (f" --isa {document['isa']}" if document["isa"] else "")
    return [
        "# Lineside beside other INT8 runtimes",
        "",
        f"Written by `{command}` on {document['date']}; [what it means](README.md).",
        "",
        f"- CPU: {machine['cpu']}, one core, one thread; {', '.join(machine['flags'])}",
        f"- System: {machine['system']}",
        f"- {document['rounds']} rounds of {document['runs']} timed inferences in new processes, in turns",
        "",
    ]


def compared(document, shown):
    lines = ["Median of an inference in ms; the ratio is Lineside / fastest INT8 peer, below 1 Lineside is faster.", ""]
    lines += row("network", "M MAC", *(TITLES[name] for name in shown), "ratio")
    lines += row("---", *["---:"] * (len(shown) + 2))
    for network in document["networks"]:
        times = [time(network["runtimes"].get(name, {})) for name in shown]
        lines += row(network["name"], f"{network['macs'] / 1e6:.0f}", *times, ratio(network["runtimes"]))
    return lines


def time(result):
    return f"{result['p50_ms']:.2f}" if "p50_ms" in result else "–"


def ratio(runtimes):
    peers = [(runtimes[name]["p50_ms"], TITLES[name]) for name in PEERS if "p50_ms" in runtimes.get(name, {})]
    if not peers or "p50_ms" not in runtimes.get("lineside", {}):
        return "–"
    fastest, title = min(peers)
    return f"{runtimes['lineside']['p50_ms'] / fastest:.2f} × {title}"


def notes(document):
    lines = [f"- {TITLES[name]} cannot be held to {document['isa']}: left out." for name in document["left_out"]]
    failed = {}
    for network in document["networks"]:
        for name, result in network["runtimes"].items():
            if "error" in result:
                failed.setdefault((TITLES[name], result["error"]), []).append(network["name"])
    lines += [f"- {title} does not run {', '.join(names)}: {error}" for (title, error), names in failed.items()]
    return ["", *lines] if lines else []


def details(document, shown):
    lines = ["", "## Details", ""]
    lines += row("network", "runtime", "ms", "spread", "load ms", "peak MiB", "of it Python", "off", "kernels")
    lines += row("---", "---", *["---:"] * 6, "---")
    for network in document["networks"]:
        for name in shown:
            result = network["runtimes"].get(name, {})
            if "p50_ms" in result:
                lines += row(
                    network["name"], f"{TITLES[name]} {result.get('version', '')}", time(result),
                    f"{result['spread']:.1%}", number(result, "load_ms", "{:.0f}"),
                    number(result, "peak_kib", "{:.0f}", 1024),
                    number(result, "python_kib", "{:.0f}", 1024), number(result, "off", "{:.1%}"),
                    kernels(result),
                )
    return lines


def kernels(result):
    found = [result["kernel"]] if "kernel" in result else []
    if "integer_coverage" in result:
        found.append(f"{result['integer_coverage']:.0%} of the multiply-accumulates in integers")
    return ", ".join(found) or "–"


def number(result, key, form, unit=1):
    return form.format(result[key] / unit) if key in result else "–"


def row(*cells):
    return ["| " + " | ".join(cells) + " |"]


if __name__ == "__main__":
    print(write(json.loads(Path(sys.argv[1]).read_text())), end="")
